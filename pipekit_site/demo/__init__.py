"""The demo: sample data, its syncs and their display."""
