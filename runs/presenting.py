"""How a run is shown on a page: durations, counts, errors, steps as small pieces of HTML."""

from __future__ import annotations

from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.utils import display_for_label

from connections.widgets import code
from runs import live_log
from runs.models import GroupRun, Run

# status -> unfold's colour
COLOURS = {
    "queued": "info",
    "running": "primary",
    "lost": "warning",
    "success": "success",
    "dry_run": "info",
    "partial": "warning",
    "error": "danger",
    "cancelled": "warning",
    "refused": "danger",
}
COUNTS = ("read", "staged", "inserted", "updated", "deleted")
NOTHING = "–"


def badge(run: Run | GroupRun) -> SafeString:
    """Return the status as a word in its colour."""
    label: SafeString = display_for_label(
        run.get_status_display(), NOTHING, {run.get_status_display(): COLOURS[run.status]}
    )
    return label


def duration(run: Run | GroupRun) -> str:
    if run.started_at is None or run.finished_at is None:
        return NOTHING
    return seconds((run.finished_at - run.started_at).total_seconds())


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
    size = NOTHING if run.bytes is None else filesizeformat(run.bytes)
    return _cards([*rows, ("bytes", size), ("rows/s", _speed(run))])


def _speed(run: Run) -> str:
    if run.started_at is None or run.finished_at is None or not run.read:
        return NOTHING
    return count(round(run.read / max((run.finished_at - run.started_at).total_seconds(), 0.001)))


def _cards(rows: list[tuple[str, str]]) -> SafeString:
    cards = format_html_join(
        "",
        '<div class="pk-card"><span>{}</span><b>{}</b></div>',
        rows,
    )
    return format_html('<div class="pk-cards">{}</div>', cards)


def error(run: Run) -> SafeString | str:
    """Return message, hint and the system's own words, apart from each other."""
    if not run.error:
        return NOTHING
    told = run.error
    return format_html(
        '<div class="pk-error"><b>{}</b>{}<div><code>{}</code></div></div>{}',
        told.get("message", ""),
        told.get("hint", ""),
        told.get("code", ""),
        code(told["detail"]) if told.get("detail") else "",
    )


def warnings(run: Run) -> SafeString | str:
    if not run.warnings:
        return NOTHING
    return format_html_join("", '<div class="pk-warning">{}</div>', [(w,) for w in run.warnings])


def watermarks(run: Run) -> SafeString | str:
    """Return each watermark's value before and after."""
    if not run.watermarks:
        return NOTHING
    rows = [(name, _value(value, "in"), _value(value, "out")) for name, value in run.watermarks.items()]
    return format_html_join("", '<div class="pk-code">{}: {} → {}</div>', rows)


def _value(found: Any, side: str) -> str:
    value = found.get(side) if isinstance(found, dict) else found
    return "(none)" if value is None else str(value)


def steps(run: Run) -> SafeString | str:
    if not run.steps:
        return NOTHING
    rows = [(step.get("step", ""), seconds(step.get("seconds") or 0.0)) for step in run.steps]
    return _cards(rows)


def process(run: Run) -> str:
    if run.pid is None:
        return NOTHING
    return f"process {run.pid} on {run.host or run.machine_id or 'an unknown machine'}, heartbeat {run.heartbeat}"


def attempts(run: Run) -> SafeString | str:
    """Return the attempts that failed before the last one, a line each."""
    lines = ((str(a["number"]), a["code"], a["message"], seconds(float(a["wait"]))) for a in run.attempts or ())
    return format_html_join("", "<div>{}. {}: {} (waited {})</div>", lines) or NOTHING


# what a page shows of a log; runlog shows all of it
_LOG_END = 20_000


def log_end(run: Run) -> str:
    """Return the last lines of the run's log, empty when there is none (any more)."""
    try:
        size = run.log_file.stat().st_size
    except OSError:
        return ""
    text, _ = live_log.read(run, max(size - _LOG_END, 0))
    return text if size <= _LOG_END else text.partition("\n")[2]
