"""How to reach a system: connections, URLs, secrets, connectors, connection tests."""
