"""Abstract base model with created_at and updated_at, which every table has."""

from __future__ import annotations

from django.db import models


class Timestamped(models.Model):
    """Records when a row was created and last saved."""

    created_at = models.DateTimeField(auto_now_add=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)

    class Meta:
        abstract = True
