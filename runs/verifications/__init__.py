"""Verifications as rows and processes: insert, launch, execute, record and report."""
