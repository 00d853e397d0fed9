"""Builds the source query and determines its columns."""
