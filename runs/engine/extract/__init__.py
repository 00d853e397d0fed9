"""The query at the source and its columns."""
