"""File locks, private files, and the protection of Pipekit's own files."""
