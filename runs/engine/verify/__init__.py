"""Comparison of source and destination by digests of their rows."""
