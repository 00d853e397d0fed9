"""HTML fragments of runs for the admin: status badges, durations, counts, errors, steps, logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils import timezone

from connections.sdk.formatting import readable_size, visible
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.html import NOTHING
from runs import logs
from runs.missing_logs import why_missing
from runs.models import GroupRun, Run
from runs.models.execution import StartedBy
from runs.models.publish_outcome import outcome_note
from runs.models.states import Status
from runs.models.verification import Verification

# status or outcome -> colour and icon
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


def badge(run: Run | GroupRun | Verification, *, url: str = "") -> str:
    """Return the status as a coloured badge, marked if a dry run ended with another status than dry_run."""
    colour, sign = COLOURS[run.status]
    word = run.get_status_display()
    if isinstance(run, Run | GroupRun) and run.dry_run and run.is_final and run.status != Status.DRY_RUN:
        word = f"{word} (dry run)"
    return html.badge(word, colour, sign=sign, url=url)


def duration(run: Run | GroupRun | Verification) -> str:
    """Return the duration, up to now while it runs."""
    if run.started_at is None:
        return NOTHING
    elapsed = seconds(((run.finished_at or timezone.now()) - run.started_at).total_seconds())
    return elapsed if run.finished_at else f"{elapsed} so far"


# formats a trigger with the number of a row, by its kind: (number, actor, whether to look up the row's name)
_NUMBERED: dict[str, Callable[[int, str, bool], str]] = {}


def register_trigger(kind: StartedBy, formatted: Callable[[int, str, bool], str]) -> None:
    """Register how triggers of a kind are shown, for an app whose rows start runs and that is above this one."""
    _NUMBERED[kind] = formatted


def trigger(run: Run | GroupRun | Verification, *, named: bool = False) -> str:
    """Return what started it; with ``named`` the current name of a schedule is looked up."""
    kind, _, number = run.trigger.partition(":")
    if kind in _NUMBERED and number.isdecimal():
        return _NUMBERED[kind](int(number), run.actor, named)
    label = StartedBy(run.trigger).label if run.trigger in StartedBy.values else run.trigger
    return f"{label}, {run.actor}" if run.actor else label


def _verification(pk: int, _actor: str, _named: bool) -> str:
    return html.row_link(Verification(pk=pk), f"verification {pk}")


register_trigger(StartedBy.VERIFICATION, _verification)


def seconds(number: float) -> str:
    """Return a duration in seconds, minutes or hours."""
    if number < 60:
        return f"{number:.2f}\u00a0s" if number < 10 else f"{number:.0f}\u00a0s"
    minutes, rest = divmod(round(number), 60)
    return f"{minutes}\u00a0min {rest:02}\u00a0s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def count(number: int | None) -> str:
    """Return a number with thousands separators, or a dash if the destination did not report it."""
    return NOTHING if number is None else f"{number:,}".replace(",", "\u202f")


def counts(run: Run) -> str:
    """Return all counts of a run, its size and its speed."""
    rows = [(name, count(getattr(run, name))) for name in COUNTS]
    size = NOTHING if run.bytes is None else readable_size(run.bytes)
    return cards([*rows, ("size", size), ("rows/s", _speed(run))])


def brief_counts(run: Run) -> str:
    """Return the rows read, inserted, updated and deleted in one line, for lists."""
    if run.read is None:
        return NOTHING
    signs = {"inserted": "+", "updated": "~", "deleted": "−"}
    numbers = [(name, sign, getattr(run, name)) for name, sign in signs.items()]
    changed = [(f"{count(number)} {name}", f"{sign}{count(number)}") for name, sign, number in numbers if number]
    return html.render("runs/counts.html", read=count(run.read), changed=changed)


def _speed(run: Run) -> str:
    if run.started_at is None or run.finished_at is None or not run.read:
        return NOTHING
    return count(round(run.read / max((run.finished_at - run.started_at).total_seconds(), 0.001)))


def cards(rows: list[tuple[str, str]], *, note: str = "") -> str:
    """Return labelled numbers side by side, with a note below them."""
    return html.render("runs/cards.html", cards=rows, note=note)


def problem(run: Run | Verification) -> str:
    """Return an error in one line, for lists; of a run without one, what it did not execute after its publish."""
    if run.error:
        return html.clipped(str(run.error.get("message", "")))
    return html.clipped(outcome_note(run)) if isinstance(run, Run) and run.not_executed else ""


def error(run: Run | GroupRun | Verification) -> str:
    """Return the error's message, hint, code and, folded, its detail."""
    if not run.error:
        return NOTHING
    fields = {name: visible(str(run.error.get(name, ""))) for name in ("message", "hint", "code")}
    outcome = outcome_note(run) if isinstance(run, Run) else ""
    return html.render("runs/error.html", detail=run.error.get("detail", ""), outcome=outcome, **fields)


def warnings(run: Run | Verification) -> str:
    """Return the warnings, one block each."""
    if not run.warnings:
        return NOTHING
    return html.render("runs/warnings.html", warnings=[visible(str(warning)) for warning in run.warnings])


def watermarks(run: Run) -> str:
    """Return each watermark's value before and after."""
    if not run.watermarks:
        return NOTHING
    rows = [(name, _value(value, "in"), _value(value, "out")) for name, value in run.watermarks.items()]
    return html.render("runs/watermarks.html", watermarks=rows)


def _value(watermark: Any, side: str) -> str:
    value = watermark.get(side) if isinstance(watermark, dict) else watermark
    return "(none)" if value is None else visible(str(value))


def steps(run: Run) -> str:
    """Return the durations of the steps as bars."""
    if not run.steps:
        return NOTHING
    rows = [(step.get("step", ""), float(step.get("seconds") or 0.0)) for step in run.steps]
    longest = max(duration for _, duration in rows) or 1.0
    bars = [(name, f"{max(round(duration / longest * 100), 1)}", seconds(duration)) for name, duration in rows]
    return html.render("runs/steps.html", steps=bars)


def process(run: Run) -> str:
    """Return pid and host."""
    if run.pid is None:
        return NOTHING
    return f"{run.pid} on {run.host or run.machine_id or 'an unknown machine'}"


def heartbeat(run: Run) -> str:
    """Return the number of heartbeats and the time of the last one."""
    if run.heartbeat_at is None:
        return NOTHING
    last = html.timestamp(run.heartbeat_at, ago=True)
    return html.render("runs/heartbeat.html", count=count(run.heartbeat), last=last)


def attempts(run: Run) -> str:
    """Return the failed attempts that were retried, one line each."""
    if not run.attempts:
        return NOTHING
    attempts = [
        {**attempt, "message": visible(str(attempt["message"])), "wait": seconds(float(attempt["wait"]))}
        for attempt in run.attempts
    ]
    return html.render("runs/attempts.html", attempts=attempts)


# bytes of a log that a page shows; the command runlog prints all of it
_LOG_END = 20_000


def log(run: Run | GroupRun | Verification) -> str:
    """Return the last lines of the run's log, or why there are none."""
    text, is_whole = _log_end(run)
    if not text:
        return why_missing(run).reason
    whole = f"manage.py runlog {run.pk}" if isinstance(run, Run) else str(run.log_file)
    return html.render("runs/log.html", text=text, whole="" if is_whole else whole)


def _log_end(run: Run | GroupRun | Verification) -> tuple[str, bool]:
    try:
        size = run.log_file.stat().st_size
        text, _ = logs.read(run, max(size - _LOG_END, 0)) if run.log_file.is_file() else ("", 0)
    except OSError:
        return "", True
    return (text, True) if size <= _LOG_END else (text.partition("\n")[2], False)
