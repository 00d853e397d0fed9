"""The ways in which jrunner moves rows: raw, arrow, external."""
