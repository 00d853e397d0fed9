"""Small pieces of HTML that many pages share: moments, links, states, code. Whatever text goes in comes out as text.

Long texts are shown with signs for control characters and marks that turn the direction of text around.
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
# a colour's state also has a sign of its own: colours alone are not for everyone
SIGNS = {"success": "check_circle", "danger": "error", "warning": "warning", "info": "info", "primary": "sync"}


def code(text: str) -> SafeString | str:
    """Return text as a block of one width, scrolling where it is long; a dash when there is none."""
    if not text:
        return NOTHING
    return format_html('<pre class="pk-code" tabindex="0">{}</pre>', visible(text.replace("\r\n", "\n")))


def moment(at: dt.datetime | None, *, ago: bool = False) -> SafeString | str:
    """Return a time as the machine's clock shows it; the same in UTC, and how long ago, when pointed at."""
    if at is None:
        return NOTHING
    local, utc, said = timezone.localtime(at), at.astimezone(dt.UTC), since(at)
    return format_html(
        '<time class="pk-moment" datetime="{}" title="{} UTC, {}">{}</time>{}',
        utc.isoformat(),
        f"{utc:%Y-%m-%d %H:%M:%S}",
        said,
        f"{local:%Y-%m-%d %H:%M:%S}",
        format_html(' <span class="pk-ago">{}</span>', said) if ago else "",
    )


def since(at: dt.datetime) -> str:
    """Return ``3 minutes ago`` or ``in 5 hours``, in one unit."""
    now = timezone.now()
    if abs((now - at).total_seconds()) < 60:
        return "just now" if at <= now else "in less than a minute"
    return f"{timesince(at, now, depth=1)} ago" if at < now else f"in {timeuntil(at, now, depth=1)}"


def badge(label: str, colour: str, *, sign: str = "", url: str = "", title: str = "") -> SafeString:
    """Return a state as word, colour and sign; a link where there is more to see."""
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
    return format_html('<a class="pk-link" href="{}" title="{}">{}</a>', url, title, text)


def page_of(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def list_of(model: str, **filters: Any) -> str:
    """Return the address of a list, such as ``runs.run``, with these filters set."""
    address = reverse(f"admin:{model.replace('.', '_')}_changelist")
    return f"{address}?{urlencode(filters)}" if filters else address


def row_link(row: Model | None, text: object = "") -> SafeString | str:
    return NOTHING if row is None else link(page_of(row), text or row)


def clipped(text: str, *, length: int = 90) -> SafeString | str:
    """Return the beginning of a long text; the whole of it when pointed at."""
    line = visible(" ".join(text.split()))
    if len(line) <= length:
        return line
    return format_html('<span title="{}">{}…</span>', line[:1000], line[: length - 1])
