"""Verifications as rows and processes: claim, launch, execute, record and report."""
