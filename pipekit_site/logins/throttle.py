"""Limits attempts to log in, and to give the old password when it is changed: by user and address, and by address.

The count is in the metadata, for all processes. An attempt is counted before its password is checked, so that many at
once do not pass together. Nothing is limited by the user's name alone: nobody can lock an administrator out from
elsewhere. Attempts that are refused are not counted, so a limit ends by itself ``WINDOW`` after the attempts that led
to it.
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
    """Refused without looking at the password; ``seconds`` says when to try again."""

    what = "Too many attempts to log in"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"{self.what}; try again in {seconds} s.")
        self.seconds = seconds


class TooManyWrongPasswords(TooManyAttempts):
    """The same, of somebody who is logged in and is asked for the password again."""

    what = "Too many wrong passwords"


def begin(username: str, address: str) -> LoginAttempt:
    """Count an attempt. Raises TooManyAttempts when there were too many already."""
    now = timezone.now()
    place, user = _place(address), _hash(username)
    LoginAttempt.objects.filter(at__lt=now - WINDOW).delete()
    attempt = LoginAttempt.objects.create(user_hash=user, address=place, at=now)
    before = LoginAttempt.objects.filter(address=place, pk__lt=attempt.pk)
    for rows, limit in ((before.filter(user_hash=user), BY_USER_AND_ADDRESS), (before, BY_ADDRESS)):
        counted = list(rows.order_by("-at").values_list("at", flat=True)[:limit])
        if len(counted) == limit:
            attempt.delete()
            raise TooManyAttempts(max(1, int((counted[-1] + WINDOW - now).total_seconds()) + 1))
    return attempt


def succeed(attempt: LoginAttempt) -> None:
    """Forget the user's attempts from this address."""
    LoginAttempt.objects.filter(user_hash=attempt.user_hash, address=attempt.address).delete()


def unlock() -> int:
    """Forget every attempt; return how many there were."""
    return LoginAttempt.objects.all().delete()[0]


def _hash(username: str) -> str:
    # User.normalize_username; case and blanks make no other user here
    name = unicodedata.normalize("NFKC", username).casefold().strip()
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


def _place(address: str) -> str:
    """Return the address, of IPv6 the network that one machine usually has whole."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:45]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), 64), strict=False).network_address)
    return str(found)
