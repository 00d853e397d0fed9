"""Start the process of a run."""
