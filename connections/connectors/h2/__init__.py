"""The connector of H2."""
