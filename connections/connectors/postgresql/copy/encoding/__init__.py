"""The encodings of Arrow batches for COPY FROM, and the checks of their values."""
