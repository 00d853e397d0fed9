"""Timestamps as options of commands: ISO 8601, with or without a UTC offset."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentTypeError

from django.utils import timezone


def timestamp(text: str) -> dt.datetime:
    """Parse an option's value, for argparse; without an offset the result is naive."""
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is not a timestamp; write it as 2027-03-28T02:30:00+01:00") from None


def in_zone(value: dt.datetime, zone: dt.tzinfo | None = None) -> dt.datetime:
    """Return an aware timestamp; a naive one is taken to be in the zone, by default the server's."""
    return value if value.tzinfo else value.replace(tzinfo=zone or timezone.get_default_timezone())
