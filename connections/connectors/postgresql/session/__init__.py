"""Sessions at the server: whether they work, who blocks them, idle timeouts, and passwords in clear text."""
