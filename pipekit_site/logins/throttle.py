"""Limits failed logins, and wrong old passwords when changing one: by user and address, and by address.

Attempts are counted in the metadata database, for all processes, and before the password is checked, so that concurrent
ones cannot exceed the limit. There is no limit by user name alone, with which anybody could lock an administrator out.
Refused attempts are not counted, so a limit ends ``WINDOW`` after the attempts that caused it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import unicodedata

from django.utils import timezone

from pipekit_site.models import LoginAttempt

WINDOW = dt.timedelta(minutes=10)
# failed attempts within the window
BY_USER_AND_ADDRESS, BY_ADDRESS = 5, 30


class TooManyAttempts(Exception):
    """The attempt was refused without checking the password; it can be repeated after ``seconds``."""

    reason = "Too many attempts to log in"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"{self.reason}; try again in {seconds} s.")
        self.seconds = seconds


class TooManyWrongPasswords(TooManyAttempts):
    """The same for a logged-in user who is asked for the password again."""

    reason = "Too many wrong passwords"


def begin(username: str, address: str) -> LoginAttempt:
    """Count an attempt and return it. Raises TooManyAttempts if the limit is reached."""
    now = timezone.now()
    client, user = _normalized_address(address), _hash(username)
    LoginAttempt.objects.filter(at__lt=now - WINDOW).delete()
    attempt = LoginAttempt.objects.create(user_hash=user, address=client, at=now)
    earlier = LoginAttempt.objects.filter(address=client, pk__lt=attempt.pk)
    for rows, limit in ((earlier.filter(user_hash=user), BY_USER_AND_ADDRESS), (earlier, BY_ADDRESS)):
        times = list(rows.order_by("-at").values_list("at", flat=True)[:limit])
        if len(times) == limit:
            attempt.delete()
            raise TooManyAttempts(max(1, int((times[-1] + WINDOW - now).total_seconds()) + 1))
    return attempt


def succeed(attempt: LoginAttempt) -> None:
    """Delete the user's attempts from this address."""
    LoginAttempt.objects.filter(user_hash=attempt.user_hash, address=attempt.address).delete()


def unlock() -> int:
    """Delete all attempts and return their number."""
    return LoginAttempt.objects.all().delete()[0]


def _hash(username: str) -> str:
    # normalized as by User.normalize_username, and ignoring case and surrounding spaces
    name = unicodedata.normalize("NFKC", username).casefold().strip()
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


def _normalized_address(address: str) -> str:
    """Return the address; for IPv6 its /64 network, as one client usually controls all of that."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:45]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False).network_address)
    return str(parsed)
