"""Subject and text of notification mails, from payloads in the outbox and templates in `runs/templates/runs/notify`.

Names and errors are reduced to one line of visible text, and secrets are redacted.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from connections.sdk.records import dataclass
from connections.secrets.redaction import redactor
from runs.models.notification import NotificationKind
from runs.models.setting import Setting
from runs.models.states import Effect

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


def timestamp(at: dt.datetime | None) -> str | None:
    """Return a point in time as it is in payloads: in UTC, to the second."""
    return None if at is None else at.astimezone(dt.UTC).isoformat(timespec="seconds")


def notification_mail(events: Sequence[Payload], settings: Setting, *, key: str) -> Mail:
    """Return the mail for one event, or a digest for several."""
    return _one(events[0], key, settings) if len(events) == 1 else _digest(events, key, settings)


def test_mail(settings: Setting) -> Mail:
    """Return the mail that tests the configuration."""
    return Mail(subject=sentence("test_subject"), text=_text("test", settings), key=timezone.now().isoformat())


def link(payload: Payload, settings: Setting) -> str:
    """Return the URL of the admin page of the reported object; empty if the setting `site_url` is."""
    site = settings.site_url.rstrip("/")
    for name, page in _PAGES.items():
        if site and payload.get(name):
            return f"{site}{reverse(page, args=[payload[name]])}"
    return ""


def notification_headline(payload: Payload) -> str:
    """Return the event in one sentence."""
    counts = ((payload.get(kind) or 0, kind) for kind in ("missing", "extra", "different"))
    return sentence(
        "headline",
        event=payload.get("event"),
        name=_name(payload),
        status=payload.get("status"),
        failures=payload.get("failures"),
        hours=payload.get("hours"),
        repaired=payload.get("repaired"),
        differences=", ".join(f"{count} {kind}" for count, kind in counts if count),
        is_partial=(payload.get("scope") or {}).get("everything") is False,
        schedule=line(payload.get("schedule", ""), 100),
        missed=payload.get("missed") or 0,
    )


def sentence(template: str, **context: Any) -> str:
    """Return a template of this package, rendered as one line."""
    return " ".join(render_to_string(f"runs/notify/{template}.txt", context).split())


def _text(template: str, settings: Setting, **context: Any) -> str:
    """Return a template as the text of a mail, which ends with a footer."""
    text = render_to_string(f"runs/notify/{template}.txt", {**context, "notify_every": settings.notify_every})
    # a plain str: the rendered text is marked as safe HTML, which it is not
    return "".join([text])


def _name(payload: Payload) -> str:
    if "group" in payload:
        return f"group {line(payload['group'], 100)}"
    return line(payload.get("module") or "?", _NAME_LENGTH)


def _one(payload: Payload, key: str, settings: Setting) -> Mail:
    event = _event(payload, settings)
    subject = line(sentence("subject", **event), _SUBJECT_LENGTH)
    return Mail(subject=subject, text=_text("event", settings, **event), key=key)


def _digest(payloads: Sequence[Payload], key: str, settings: Setting) -> Mail:
    names = dict(NotificationKind.choices)
    counts = Counter(names.get(payload.get("event", ""), "other").lower() for payload in payloads)
    kinds = [(number, kind) for kind, number in counts.most_common()]
    subject = line(sentence("digest_subject", count=len(payloads), kinds=kinds), _SUBJECT_LENGTH)
    events = [_event(payload, settings) for payload in payloads[:_DIGEST_ITEMS]]
    text = _text("digest", settings, events=events, more=len(payloads) - len(events))
    return Mail(subject=subject, text=text, key=key)


def _event(payload: Payload, settings: Setting) -> dict[str, Any]:
    """Return what the templates show of an event: each value one line, empty if there is none."""
    error = payload.get("error") or {}
    is_missed = payload.get("event") == NotificationKind.MISSED
    return {
        "headline": notification_headline(payload),
        "message": line(error.get("message", ""), 2000),
        "hint": line(error.get("hint", ""), 1000),
        "code": "" if is_missed else line(error.get("code", ""), 60),
        "outcome": _outcome(payload),
        "compared": line(payload.get("compared") or ""),
        "due": _local_time(payload.get("due")),
        "since": _local_time(payload.get("since")),
        "failures": payload.get("failures"),
        "at": _local_time(payload.get("at")),
        "run": _run(payload),
        "url": link(payload, settings),
    }


def _outcome(payload: Payload) -> str:
    """Return what a failed run did to its destination, and the number of its tries if there were several."""
    effect, tries = payload.get("effect"), payload.get("tries") or 1
    known = effect if payload.get("error") and effect in Effect.values else None
    return "; ".join([*([Effect(known).label] if known else []), *([f"{tries} tries"] if tries > 1 else [])])


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
