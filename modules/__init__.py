"""Modules, which define what is synced, and groups of modules; their validation and history."""
