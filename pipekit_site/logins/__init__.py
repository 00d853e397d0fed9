"""Logins to the admin, throttled, and changes of passwords."""
