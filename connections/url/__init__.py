"""Parses, validates and writes connection URLs. No Django."""
