"""Reads and writes rows: raw COPY between two servers, and Arrow batches."""
