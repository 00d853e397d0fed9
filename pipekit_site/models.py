"""What the site itself keeps: attempts to log in, by whom and from where, for as long as they count."""

from __future__ import annotations

from django.db import models


class LoginAttempt(models.Model):
    """One attempt that failed, or is still being checked. Names are kept as hashes: people mistype passwords there."""

    user_hash = models.CharField(max_length=64)
    address = models.CharField(max_length=45)
    at = models.DateTimeField()

    class Meta:
        db_table = "login_attempt"
        indexes = [models.Index(fields=["address", "at"], name="login_attempt_by_address")]

    def __str__(self) -> str:
        return f"{self.address} at {self.at:%Y-%m-%d %H:%M:%S}"
