"""Exact conversion of values in Arrow batches."""
