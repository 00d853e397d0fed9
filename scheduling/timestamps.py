"""Moments as people write them on a command line: ISO 8601, with an offset or without."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentTypeError

from django.utils import timezone


def moment(text: str) -> dt.datetime:
    """Read an option's value; without an offset it stays naive."""
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is no moment; write it as 2027-03-28T02:30:00+01:00") from None


def in_zone(moment: dt.datetime, zone: dt.tzinfo | None = None) -> dt.datetime:
    """Give a naive moment a zone: the server's unless another is named."""
    return moment if moment.tzinfo else moment.replace(tzinfo=zone or timezone.get_default_timezone())
