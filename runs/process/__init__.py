"""The identity of a process, and sending signals to it."""
