"""One package per kind of system, with the same file names in each. No Django."""
