"""Sessions at the server: whether they work, who blocks them, when they time out, and passwords in clear text."""
