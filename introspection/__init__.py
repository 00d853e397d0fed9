"""Reserved for the introspection of sources."""
