"""What a mail says: from rows of the outbox to subject and text.

Whatever names and errors hold, one line stays one line, and no secret is in it.
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

About = Mapping[str, Any]
_NAME, _SUBJECT, _LISTED = 63, 150, 200
_PAGES = {
    "run": "admin:runs_run_change",
    "group_run": "admin:runs_grouprun_change",
    "verification": "admin:runs_verification_change",
}
# control characters, line and paragraph separators, marks that turn the direction of text
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """``key`` is the same for the same notifications, whenever they are sent."""

    subject: str
    text: str
    key: str = ""


def line(value: Any, length: int = 500) -> str:
    """Return any value as one line of visible text."""
    text = _UNSEEN.sub(" ", redactor().text(str(value))).strip()
    return text if len(text) <= length else f"{text[: length - 1]}…"


def mail(told: Sequence[About], *, key: str) -> Mail:
    """Return one mail for one event or, as a digest, for many."""
    subject, text = _one(told[0]) if len(told) == 1 else _digest(told)
    return Mail(subject=line(f"[Pipekit] {subject}", _SUBJECT), text=f"{text}\n\n{_footer()}\n", key=key)


def test_mail() -> Mail:
    text = f"This is a test. Failures of syncs will be told like this.\n\n{_footer()}\n"
    return Mail(subject="[Pipekit] Test", text=text, key=timezone.now().isoformat())


def link(about: About) -> str:
    """Return the address of the page of what is reported, empty where the setting `site_url` is."""
    site = setting("site_url").rstrip("/")
    for name, page in _PAGES.items():
        if site and about.get(name):
            return f"{site}{reverse(page, args=[about[name]])}"
    return ""


def headline(about: About) -> str:
    name, failures = _name(about), about.get("failures")
    match about.get("event"):
        case NotificationKind.RECOVERY:
            return f"{name} works again"
        case NotificationKind.LATE:
            return f"{name} is late: no success for {about.get('hours')} h"
        case NotificationKind.REPEATED:
            return f"{name} has failed {failures} times in a row"
        case NotificationKind.DIFFERENT if about.get("repaired"):
            return f"{name} differed from its source and was repaired: {_differences(about)}"
        case NotificationKind.DIFFERENT:
            return f"{name} differs from its source: {_differences(about)}"
        case NotificationKind.UNVERIFIED:
            return f"{name} could not be verified"
        case NotificationKind.EQUAL:
            part = (about.get("scope") or {}).get("everything") is False
            return f"{name} equals its source again{', in the part that was compared' if part else ''}"
        case NotificationKind.MISSED:
            return f"{name} was not run: {line(about.get('schedule', ''), 100)}{_count(about)}"
        case _:
            return f"{name} {'was refused' if about.get('status') == 'refused' else 'failed'}"


def _differences(about: About) -> str:
    counted = ((about.get(kind) or 0, kind) for kind in ("missing", "extra", "different"))
    return ", ".join(f"{count} {kind}" for count, kind in counted if count)


def _count(about: About) -> str:
    missed = about.get("missed") or 0
    if not missed:
        return " cannot fire"
    return " missed its time" if missed == 1 else f" missed {missed} times"


def _name(about: About) -> str:
    return line(about.get("module") or "?", _NAME) if "group" not in about else f"group {line(about['group'], 100)}"


def _one(about: About) -> tuple[str, str]:
    error = about.get("error") or {}
    rows = {
        "error": line(error.get("message", ""), 2000),
        "fix": line(error.get("hint", ""), 1000),
        "code": _code(about),
        "compared": line(about.get("compared") or "", 500),
        "was due": _moment(about.get("due")),
        "since": _moment(about.get("since")),
        "how often": _times(about),
        "at": _moment(about.get("at")),
        "run": _run(about),
        "see": link(about),
    }
    shown = "\n".join(f"{f'{name}:':<11} {value}" for name, value in rows.items() if value)
    code = f" ({_code(about)})" if _code(about) else ""
    return headline(about) + code, f"{headline(about)}\n\n{shown}"


def _code(about: About) -> str:
    return line((about.get("error") or {}).get("code", ""), 60) if about.get("event") != NotificationKind.MISSED else ""


def _digest(told: Sequence[About]) -> tuple[str, str]:
    names = dict(NotificationKind.choices)
    counts = Counter(names.get(about.get("event", ""), "other").lower() for about in told)
    counted = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    listed = [_item(about) for about in told[:_LISTED]]
    more = [f"... and {len(told) - _LISTED} more: see the runs in the admin."] if len(told) > _LISTED else []
    text = "Much happened at once, so it comes as one mail.\n\n" + "\n".join([*listed, *more])
    return f"{len(told)} notifications: {counted}", text


def _item(about: About) -> str:
    error = about.get("error") or {}
    lines = [f"- {_moment(about.get('at'))}  {headline(about)}"]
    if error.get("message"):
        lines.append(f"    {line(error['message'], 300)}")
    if error.get("hint"):
        lines.append(f"    fix: {line(error['hint'], 300)}")
    where = link(about) or _run(about)
    return "\n".join([*lines, f"    {where}"] if where else lines)


def _times(about: About) -> str:
    failures = about.get("failures")
    return f"{failures} {'failure' if failures == 1 else 'failures'} in a row" if failures else ""


def _run(about: About) -> str:
    for name, words in (("run", "run"), ("group_run", "group run"), ("verification", "verification")):
        if about.get(name):
            return f"{words} {about[name]} ({line(about.get('trigger', ''), 60)})"
    return ""


def _moment(iso: Any) -> str:
    try:
        moment = dt.datetime.fromisoformat(iso)
    except (TypeError, ValueError):
        return ""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S %z}"


def _footer() -> str:
    return (
        f"-- \nPipekit tells of the first failure, of every {setting('notify_every')}th in a row, of recovery,"
        " of missed times\nand, if set, of lateness."
        " Who is told: smtp.to in config.yaml, and the setting notification_addresses."
    )
