"""File locks, private files, errors of paths, and the protection of Pipekit's own files."""
