"""The secrets file, references to it, their binding to a target, and redaction. No Django."""
