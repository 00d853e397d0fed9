"""Staging, and the transaction that changes the destination, with its checks and limits."""
