"""Decides what happens in a run and writes its SQL. No Django, no metadata database."""
