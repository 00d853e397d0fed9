"""Translates errors of connecting and of statements to Pipekit's, with their causes."""
