"""jrunner, a program of its own that moves rows. No Django."""
