"""Bounds of what a run reads: their values, types and warnings."""
