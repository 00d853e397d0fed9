"""Dialects, statements for publishing, type names and row hashes."""
