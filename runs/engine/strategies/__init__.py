"""The SQL of each merge strategy."""
