"""Launchers, which start the process of a run."""
