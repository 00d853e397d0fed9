"""Connections to systems, with their URLs, secrets, connectors and tests."""
