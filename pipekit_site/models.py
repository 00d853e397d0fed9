"""Recent login attempts, recorded to limit their rate."""

from __future__ import annotations

from django.db import models


class LoginAttempt(models.Model):
    """A login attempt that failed or is in progress. Names are stored as hashes: users mistype passwords there."""

    user_hash = models.CharField(max_length=64)
    address = models.CharField(max_length=45)
    at = models.DateTimeField()

    class Meta:
        db_table = "login_attempt"
        indexes = [models.Index(fields=["address", "at"], name="login_attempt_by_address")]

    def __str__(self) -> str:
        return f"{self.address} at {self.at:%Y-%m-%d %H:%M:%S}"
