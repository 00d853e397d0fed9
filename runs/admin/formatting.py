"""How a run is shown on a page: durations, counts, errors, steps as small pieces of HTML."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from connections.sdk.visible_text import visible
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.html import NOTHING, code
from runs import logs
from runs.engine import plurals
from runs.models import GroupRun, Run
from runs.models.states import Status
from runs.models.verification import Verification

# status -> colour and sign
COLOURS = {
    "queued": ("info", "hourglass_empty"),
    "running": ("primary", "sync"),
    "lost": ("warning", "help"),
    "success": ("success", "check_circle"),
    "dry_run": ("info", "science"),
    "partial": ("warning", "rule"),
    "error": ("danger", "error"),
    "cancelled": ("warning", "cancel"),
    "refused": ("danger", "block"),
    "equal": ("success", "check_circle"),
    "no_rows": ("warning", "help"),
    "different": ("danger", "difference"),
    "repaired": ("success", "build"),
    "partly_repaired": ("warning", "build"),
    "unconfirmed": ("warning", "build"),
    "repair_refused": ("danger", "block"),
    "repair_failed": ("danger", "error"),
}
COUNTS = ("read", "staged", "inserted", "updated", "deleted")
# who asked for it, as people call it; a schedule has its number
_TRIGGERS = {"manual": "command", "admin": "admin", "api": "API", "retry": "retry", "full_refresh": "full refresh"}


def badge(run: Run | GroupRun | Verification, *, url: str = "") -> SafeString:
    """Return the status as a word, a sign and a colour; a dry run that ended otherwise says that it was one."""
    colour, sign = COLOURS[run.status]
    word = run.get_status_display()
    if isinstance(run, Run | GroupRun) and run.dry_run and run.is_final and run.status != Status.DRY_RUN:
        word = f"{word} (dry run)"
    return html.badge(word, colour, sign=sign, url=url)


def duration(run: Run | GroupRun | Verification) -> str:
    """Return how long it took, or has been going for."""
    if run.started_at is None:
        return NOTHING
    took = seconds(((run.finished_at or timezone.now()) - run.started_at).total_seconds())
    return took if run.finished_at else f"{took} so far"


def trigger(run: Run | GroupRun | Verification, *, named: bool = False) -> SafeString | str:
    """Return who or what asked for it; with ``named`` a schedule's name is looked up."""
    kind, _, number = run.trigger.partition(":")
    if kind == "schedule" and number.isdigit():
        return _schedule(int(number), run.actor, named=named)
    if kind == "verification" and number.isdigit():
        return html.row_link(Verification(pk=int(number)), f"verification {number}")
    words = _TRIGGERS.get(kind, run.trigger)
    return f"{words}, {run.actor}" if run.actor else words


def _schedule(pk: int, name: str, *, named: bool) -> SafeString | str:
    """``name`` is the one it had then, empty for runs of earlier versions."""
    # known by name only: schedules are above runs
    schedule = apps.get_model("scheduling", "Schedule")
    then = name or f"#{pk}"
    found = schedule._default_manager.filter(pk=pk).first() if named else schedule(pk=pk, name=then)
    return html.row_link(found, f"schedule {found}") if found else f"schedule {then}, which is gone"


def seconds(number: float) -> str:
    if number < 60:
        return f"{number:.2f}\u00a0s" if number < 10 else f"{number:.0f}\u00a0s"
    minutes, rest = divmod(round(number), 60)
    return f"{minutes}\u00a0min {rest:02}\u00a0s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def count(number: int | None) -> str:
    """Return a number with its thousands apart; a dash where the system could not tell."""
    return NOTHING if number is None else f"{number:,}".replace(",", "\u202f")


def counts(run: Run) -> SafeString:
    rows = [(name, count(getattr(run, name))) for name in COUNTS]
    size = NOTHING if run.bytes is None else plurals.size(run.bytes)
    return cards([*rows, ("size", size), ("rows/s", _speed(run))])


def brief_counts(run: Run) -> SafeString | str:
    """Return what was read and what became of it, in one line, for lists."""
    if run.read is None:
        return NOTHING
    signs = {"inserted": "+", "updated": "~", "deleted": "−"}
    told = [(name, sign, getattr(run, name)) for name, sign in signs.items()]
    found = ((f"{count(number)} {name}", f"{sign}{count(number)}") for name, sign, number in told if number)
    return format_html(
        '<div class="pk-counts"><span title="{} read">{}</span><div>{}</div></div>',
        count(run.read),
        count(run.read),
        format_html_join("", ' <span class="pk-ago" title="{}">{}</span>', found),
    )


def _speed(run: Run) -> str:
    if run.started_at is None or run.finished_at is None or not run.read:
        return NOTHING
    return count(round(run.read / max((run.finished_at - run.started_at).total_seconds(), 0.001)))


def cards(rows: list[tuple[str, str]]) -> SafeString:
    """Return numbers side by side, each with what it counts."""
    found = format_html_join("", '<div class="pk-card"><span>{}</span><b>{}</b></div>', rows)
    return format_html('<div class="pk-cards">{}</div>', found)


def problem(run: Run | Verification) -> SafeString | str:
    """Return an error in one line, for lists."""
    return html.clipped(str(run.error.get("message", ""))) if run.error else ""


def error(run: Run | GroupRun | Verification) -> SafeString | str:
    """Return message, hint and the system's own words, apart from each other."""
    if not run.error:
        return NOTHING
    told = run.error
    detail = format_html("<details><summary>The system's own words</summary>{}</details>", code(told.get("detail", "")))
    return format_html(
        '<div class="pk-error" role="alert"><b>{}</b>{}<div><code>{}</code></div></div>{}',
        visible(str(told.get("message", ""))),
        visible(str(told.get("hint", ""))),
        visible(str(told.get("code", ""))),
        detail if told.get("detail") else "",
    )


def warnings(run: Run | Verification) -> SafeString | str:
    if not run.warnings:
        return NOTHING
    return format_html_join("", '<div class="pk-warned">{}</div>', [(visible(str(w)),) for w in run.warnings])


def watermarks(run: Run) -> SafeString | str:
    """Return each watermark's value before and after."""
    if not run.watermarks:
        return NOTHING
    rows = [(name, _value(value, "in"), _value(value, "out")) for name, value in run.watermarks.items()]
    return format_html_join("", '<div class="pk-code">{}: {} → {}</div>', rows)


def _value(found: Any, side: str) -> str:
    value = found.get(side) if isinstance(found, dict) else found
    return "(none)" if value is None else visible(str(value))


def steps(run: Run) -> SafeString | str:
    if not run.steps:
        return NOTHING
    rows = [(step.get("step", ""), float(step.get("seconds") or 0.0)) for step in run.steps]
    longest = max(took for _, took in rows) or 1.0
    bars = ((name, f"{max(round(took / longest * 100), 1)}", seconds(took)) for name, took in rows)
    return format_html(
        '<div class="pk-steps">{}</div>',
        format_html_join("", '<span>{}</span><meter min="0" max="100" value="{}"></meter><span>{}</span>', bars),
    )


def process(run: Run) -> str:
    if run.pid is None:
        return NOTHING
    return f"{run.pid} on {run.host or run.machine_id or 'an unknown machine'}"


def signs_of_life(run: Run) -> SafeString | str:
    """Return how many there were and when the last was."""
    if run.heartbeat_at is None:
        return NOTHING
    return format_html("{}, the last {}", count(run.heartbeat), html.moment(run.heartbeat_at, ago=True))


def attempts(run: Run) -> SafeString | str:
    """Return the attempts that failed before the last one, a line each."""
    lines = (
        (str(a["number"]), a["code"], visible(str(a["message"])), seconds(float(a["wait"]))) for a in run.attempts or ()
    )
    return format_html_join("", "<div>{}. {}: {} (waited {})</div>", lines) or NOTHING


# what a page shows of a log; runlog shows all of it
_LOG_END = 20_000


def log(run: Run | GroupRun | Verification) -> SafeString | str:
    """Return the last lines of the run's log, or why there are none."""
    text, is_whole = _log_end(run)
    if not text:
        return "There is no log: none was written yet, or it is older than logs are kept."
    whole = f"manage.py runlog {run.pk}" if isinstance(run, Run) else str(run.log_file)
    more = "" if is_whole else format_html('<div class="pk-ago">All of it: {}</div>', whole)
    return format_html('<div class="pk-tail">{}</div>{}', code(text), more)


def _log_end(run: Run | GroupRun | Verification) -> tuple[str, bool]:
    try:
        size = run.log_file.stat().st_size
        text, _ = logs.read(run, max(size - _LOG_END, 0)) if run.log_file.is_file() else ("", 0)
    except OSError:
        return "", True
    return (text, True) if size <= _LOG_END else (text.partition("\n")[2], False)
