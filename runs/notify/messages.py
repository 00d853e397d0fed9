"""Subject and text of notification mails, made from the payloads in the outbox.

Names and errors are reduced to one line of visible text, and secrets are redacted.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils import timezone

from connections.secrets.redaction import redactor
from runs.models.notification import NotificationKind
from runs.settings import setting

Payload = Mapping[str, Any]
_NAME_LENGTH, _SUBJECT_LENGTH, _DIGEST_ITEMS = 63, 150, 200
_PAGES = {
    "run": "admin:runs_run_change",
    "group_run": "admin:runs_grouprun_change",
    "verification": "admin:runs_verification_change",
}
# control characters, line and paragraph separators, bidirectional marks, surrogates and white space
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """``key`` identifies the notifications in the mail, so that every attempt has the same Message-ID."""

    subject: str
    text: str
    key: str = ""


def line(value: Any, length: int = 500) -> str:
    """Return any value as one line of visible text without secrets, shortened to ``length`` characters."""
    text = _UNSEEN.sub(" ", redactor().text(str(value))).strip()
    return text if len(text) <= length else f"{text[: length - 1]}…"


def mail(events: Sequence[Payload], *, key: str) -> Mail:
    """Return the mail for one event, or a digest for several."""
    subject, text = _one(events[0]) if len(events) == 1 else _digest(events)
    return Mail(subject=line(f"[Pipekit] {subject}", _SUBJECT_LENGTH), text=f"{text}\n\n{_footer()}\n", key=key)


def test_mail() -> Mail:
    """Return the mail that tests the configuration."""
    text = f"This is a test message. Failed syncs are reported like this.\n\n{_footer()}\n"
    return Mail(subject="[Pipekit] Test", text=text, key=timezone.now().isoformat())


def link(payload: Payload) -> str:
    """Return the URL of the admin page of the reported object; empty if the setting `site_url` is."""
    site = setting("site_url").rstrip("/")
    for name, page in _PAGES.items():
        if site and payload.get(name):
            return f"{site}{reverse(page, args=[payload[name]])}"
    return ""


def headline(payload: Payload) -> str:
    """Return the event in one sentence."""
    name, failures = _name(payload), payload.get("failures")
    match payload.get("event"):
        case NotificationKind.RECOVERY:
            return f"{name} works again"
        case NotificationKind.LATE:
            return f"{name} is late: no success for {payload.get('hours')} h"
        case NotificationKind.REPEATED:
            return f"{name} has failed {failures} times in a row"
        case NotificationKind.DIFFERENT if payload.get("repaired"):
            return f"{name} differed from its source and was repaired: {_differences(payload)}"
        case NotificationKind.DIFFERENT:
            return f"{name} differs from its source: {_differences(payload)}"
        case NotificationKind.UNVERIFIED:
            return f"{name} could not be verified"
        case NotificationKind.EQUAL:
            part = (payload.get("scope") or {}).get("everything") is False
            return f"{name} equals its source again{', in the part that was compared' if part else ''}"
        case NotificationKind.MISSED:
            return f"{name} was not run: {line(payload.get('schedule', ''), 100)}{_count(payload)}"
        case _:
            return f"{name} {'was refused' if payload.get('status') == 'refused' else 'failed'}"


def _differences(payload: Payload) -> str:
    counted = ((payload.get(kind) or 0, kind) for kind in ("missing", "extra", "different"))
    return ", ".join(f"{count} {kind}" for count, kind in counted if count)


def _count(payload: Payload) -> str:
    missed = payload.get("missed") or 0
    if not missed:
        return " cannot fire"
    return " missed its time" if missed == 1 else f" missed {missed} times"


def _name(payload: Payload) -> str:
    if "group" in payload:
        return f"group {line(payload['group'], 100)}"
    return line(payload.get("module") or "?", _NAME_LENGTH)


def _one(payload: Payload) -> tuple[str, str]:
    error = payload.get("error") or {}
    rows = {
        "error": line(error.get("message", ""), 2000),
        "fix": line(error.get("hint", ""), 1000),
        "code": _code(payload),
        "compared": line(payload.get("compared") or "", 500),
        "was due": _local_time(payload.get("due")),
        "since": _local_time(payload.get("since")),
        "how often": _times(payload),
        "at": _local_time(payload.get("at")),
        "run": _run(payload),
        "see": link(payload),
    }
    shown = "\n".join(f"{f'{name}:':<11} {value}" for name, value in rows.items() if value)
    code = f" ({_code(payload)})" if _code(payload) else ""
    return headline(payload) + code, f"{headline(payload)}\n\n{shown}"


def _code(payload: Payload) -> str:
    if payload.get("event") == NotificationKind.MISSED:
        return ""
    return line((payload.get("error") or {}).get("code", ""), 60)


def _digest(events: Sequence[Payload]) -> tuple[str, str]:
    names = dict(NotificationKind.choices)
    counts = Counter(names.get(payload.get("event", ""), "other").lower() for payload in events)
    counted = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    listed = [_item(payload) for payload in events[:_DIGEST_ITEMS]]
    if (more := len(events) - _DIGEST_ITEMS) > 0:
        listed.append(f"... and {more} more: see the runs in the admin.")
    text = "Several events are reported in this mail.\n\n" + "\n".join(listed)
    return f"{len(events)} notifications: {counted}", text


def _item(payload: Payload) -> str:
    error = payload.get("error") or {}
    lines = [f"- {_local_time(payload.get('at'))}  {headline(payload)}"]
    if error.get("message"):
        lines.append(f"    {line(error['message'], 300)}")
    if error.get("hint"):
        lines.append(f"    fix: {line(error['hint'], 300)}")
    where = link(payload) or _run(payload)
    return "\n".join([*lines, f"    {where}"] if where else lines)


def _times(payload: Payload) -> str:
    failures = payload.get("failures")
    return f"{failures} {'failure' if failures == 1 else 'failures'} in a row" if failures else ""


def _run(payload: Payload) -> str:
    for name, words in (("run", "run"), ("group_run", "group run"), ("verification", "verification")):
        if payload.get(name):
            return f"{words} {payload[name]} ({line(payload.get('trigger', ''), 60)})"
    return ""


def _local_time(iso: Any) -> str:
    try:
        timestamp = dt.datetime.fromisoformat(iso)
    except (TypeError, ValueError):
        return ""
    return f"{timezone.localtime(timestamp):%Y-%m-%d %H:%M:%S %z}"


def _footer() -> str:
    return (
        f"-- \nPipekit reports the first failure, then every {setting('notify_every')}th in a row, recoveries, missed"
        " times\nand, if configured, late modules."
        " Recipients: smtp.to in config.yaml and the setting notification_addresses."
    )
