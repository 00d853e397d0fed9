"""The exchange of a table for one that was filled beside it: what the table consists of, and the statements."""
