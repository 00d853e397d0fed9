"""Reads the user's SQL: tokens, clauses, column mapping, placeholders; adds conditions to its text. No Django."""
