"""The installation's config.yaml and its environment variables."""
