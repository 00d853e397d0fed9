"""HTML snippets shared by the admin's pages: timestamps, links, badges, code. All texts are escaped.

In code and truncated texts, control and bidirectional formatting characters are made visible.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil

from connections.sdk.visible_text import visible

NOTHING = "–"
# the icon of each colour, because not everyone can tell colours apart
SIGNS = {"success": "check_circle", "danger": "error", "warning": "warning", "info": "info", "primary": "sync"}


def code(text: str) -> SafeString | str:
    """Return the text as a scrollable, monospaced block; a dash if it is empty."""
    if not text:
        return NOTHING
    return format_html('<pre class="pk-code" tabindex="0">{}</pre>', visible(text.replace("\r\n", "\n")))


def timestamp(at: dt.datetime | None, *, ago: bool = False) -> SafeString | str:
    """Return a timestamp in local time, with UTC and its age in the tooltip; with ``ago``, the age also as text."""
    if at is None:
        return NOTHING
    local, utc, age = timezone.localtime(at), at.astimezone(dt.UTC), since(at)
    return format_html(
        '<time class="pk-timestamp" datetime="{}" title="{} UTC, {}">{}</time>{}',
        utc.isoformat(),
        f"{utc:%Y-%m-%d %H:%M:%S}",
        age,
        f"{local:%Y-%m-%d %H:%M:%S}",
        format_html(' <span class="pk-ago">{}</span>', age) if ago else "",
    )


def since(at: dt.datetime) -> str:
    """Return a text such as ``3 minutes ago`` or ``in 5 hours``, with one unit."""
    now = timezone.now()
    if abs((now - at).total_seconds()) < 60:
        return "just now" if at <= now else "in less than a minute"
    return f"{timesince(at, now, depth=1)} ago" if at < now else f"in {timeuntil(at, now, depth=1)}"


def badge(label: str, colour: str, *, sign: str = "", url: str = "", title: str = "") -> SafeString:
    """Return a badge with label, colour and icon; with ``url``, as a link."""
    return format_html(
        '<{} class="pk-badge pk-{}" title="{}"{}><span class="material-symbols-outlined" aria-hidden="true">{}</span>'
        "{}</{}>",
        "a" if url else "span",
        colour,
        title,
        format_html(' href="{}"', url) if url else "",
        sign or SIGNS[colour],
        label,
        "a" if url else "span",
    )


def link(url: str, text: object, *, title: str = "") -> SafeString:
    """Return a link."""
    return format_html('<a class="pk-link" href="{}" title="{}">{}</a>', url, title, text)


def page_of(row: Model) -> str:
    """Return the URL of the row's page in the admin."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def list_of(model: str, **filters: Any) -> str:
    """Return the URL of a model's list (``model`` such as ``runs.run``) with the given filters."""
    address = reverse(f"admin:{model.replace('.', '_')}_changelist")
    return f"{address}?{urlencode(filters)}" if filters else address


def row_link(row: Model | None, text: object = "") -> SafeString | str:
    """Return a link to the row's page, named after the row unless ``text`` is given; a dash for None."""
    return NOTHING if row is None else link(page_of(row), text or row)


def clipped(text: str, *, length: int = 90) -> SafeString | str:
    """Return the text on one line, truncated if long, with up to 1000 characters in the tooltip."""
    line = visible(" ".join(text.split()))
    if len(line) <= length:
        return line
    return format_html('<span title="{}">{}…</span>', line[:1000], line[: length - 1])
