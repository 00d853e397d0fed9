"""Fragments of HTML shared by the admin's pages: timestamps, links, badges, code. The markup is in templates.

Templates escape all texts. In code and truncated texts, control and bidirectional formatting characters are made
visible as well.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.template.loader import get_template
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil

from connections.sdk.formatting import visible

NOTHING = "–"
# the icon of each colour, because not everyone can tell colours apart
SIGNS = {"success": "check_circle", "danger": "error", "warning": "warning", "info": "info", "primary": "sync"}


def render(template: str, **context: Any) -> str:
    """Return the rendered template, marked safe, without the line end of its file, which browsers show as a space."""
    return SafeString(get_template(template).render(context).rstrip("\n"))


def code(text: str) -> str:
    """Return the text as a scrollable, monospaced block; a dash if it is empty."""
    return render("admin_ui/code.html", text=visible(text.replace("\r\n", "\n"))) if text else NOTHING


def timestamp(at: dt.datetime | None, *, ago: bool = False) -> str:
    """Return a timestamp in local time, with UTC and its age in the tooltip; with ``ago``, the age also as text."""
    if at is None:
        return NOTHING
    utc = at.astimezone(dt.UTC)
    return render(
        "admin_ui/timestamp.html",
        iso=utc.isoformat(),
        utc=f"{utc:%Y-%m-%d %H:%M:%S}",
        local=f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}",
        age=since(at),
        ago=ago,
    )


def since(at: dt.datetime) -> str:
    """Return a text such as ``3 minutes ago`` or ``in 5 hours``, with one unit."""
    now = timezone.now()
    if abs((now - at).total_seconds()) < 60:
        return "just now" if at <= now else "in less than a minute"
    return f"{timesince(at, now, depth=1)} ago" if at < now else f"in {timeuntil(at, now, depth=1)}"


def badge(label: str, colour: str, *, sign: str = "", url: str = "", title: str = "") -> str:
    """Return a badge with label, colour and icon; with ``url``, as a link."""
    icon = sign or SIGNS[colour]
    return render("admin_ui/badge.html", label=label, colour=colour, icon=icon, url=url, title=title)


def link(url: str, text: object, *, title: str = "") -> str:
    """Return a link."""
    return render("admin_ui/link.html", url=url, text=text, title=title)


def links(targets: Iterable[tuple[str, object]]) -> str:
    """Return links, given as pairs of URL and text, separated by commas; empty if there are none."""
    return render("admin_ui/links.html", links=list(targets))


def page_of(row: Model) -> str:
    """Return the URL of the row's page in the admin."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def list_of(model: str, **filters: Any) -> str:
    """Return the URL of a model's list (``model`` such as ``runs.run``) with the given filters."""
    address = reverse(f"admin:{model.replace('.', '_')}_changelist")
    return f"{address}?{urlencode(filters)}" if filters else address


def row_link(row: Model | None, text: object = "") -> str:
    """Return a link to the row's page, named after the row unless ``text`` is given; a dash for None."""
    return NOTHING if row is None else link(page_of(row), text or row)


def clipped(text: str, length: int = 90) -> str:
    """Return the text on one line, truncated if long, with up to 1000 characters in the tooltip."""
    line = visible(" ".join(text.split()))
    if len(line) <= length:
        return line
    return render("admin_ui/clipped.html", whole=line[:1000], start=line[: length - 1])


def with_note(value: object, note: object) -> str:
    """Return a value followed by a small, muted note."""
    return render("admin_ui/with_note.html", value=value, note=note)


def two_lines(value: object, note: object) -> str:
    """Return a value with a small, muted note below it."""
    return render("admin_ui/two_lines.html", value=value, note=note)


def problem(text: object) -> str:
    """Return a text in the colour of errors."""
    return render("admin_ui/problem.html", text=text)
