"""Doctor's check of schedules: a scheduler is running, its runs can resolve their secrets, and schedules are valid."""

from __future__ import annotations

from connections.sdk.errors import ConfigurationInvalid, PipekitError
from connections.sdk.formatting import counted
from connections.secrets.references import store
from modules.cron import expression
from pipekit_site.doctor import installation
from scheduling.models import Tick
from scheduling.tick import status, timers
from scheduling.tick.timers import Timer


def schedules() -> str:
    """Check the scheduler and all enabled schedules."""
    if not (count := status.current().count):
        return "nothing is scheduled"
    lines = status.crontab_lines()
    if since := status.last_tick_words():
        hint = status.what_to_do(lines)
        raise ConfigurationInvalid(f"{_enabled(count)}, but no process runs the tick: {since}.", hint=hint)
    if lines and (missing := _only_in_environment()):
        raise ConfigurationInvalid(
            f"Runs started by cron cannot resolve the secrets {', '.join(missing)}: they are set only in this process's"
            " environment.",
            hint="; ".join(f"manage.py secrets set {name}" for name in missing),
        )
    if troubled := [(timer, problem) for timer in timers.enabled() if (problem := _problem(timer))]:
        first, problem = troubled[0]
        raise ConfigurationInvalid(
            f"{counted(len(troubled), 'schedule')} cannot fire; {first.name.removeprefix('schedule ')}: {problem}",
            hint="Correct them in the admin.",
        )
    last = Tick.objects.get()
    if last.error:
        raise ConfigurationInvalid(
            f"The last tick could not finalize every run whose process has died: {last.error}",
            hint="Each tick tries again. The log of the tick, logs/tick.log, has the details.",
        )
    by = "cron" if lines else "the scheduler, another user's cron or a command"
    return f"{_enabled(count)}; the last tick was at {last.finished_at:%H:%M:%S} UTC, by {by}"


def _enabled(count: int) -> str:
    return f"{counted(count, 'schedule')} {'is' if count == 1 else 'are'} enabled"


def _problem(timer: Timer) -> str:
    """What keeps it from firing, also before a tick has met it; empty when nothing does."""
    try:
        expression.parse(timer.expression)
        expression.zone_of(timer.zone)
    except PipekitError as error:
        return error.message
    return timer.progress.problem if timer.progress else ""


def _only_in_environment() -> list[str]:
    names = [reference.removeprefix("$") for reference, _ in installation.used_secrets()]
    return [name for name in names if store().source(name) == "environment"]
