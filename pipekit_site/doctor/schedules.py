"""Doctor's check of schedules: that somebody ticks every minute, and that what is fired then finds its secrets."""

from __future__ import annotations

from connections.sdk.errors import ConfigurationInvalid, PipekitError
from connections.secrets.references import store
from modules.models import Module
from pipekit_site.doctor import installation
from scheduling import triggers
from scheduling.cron import expression
from scheduling.models import Schedule, Tick
from scheduling.tick import late
from scheduling.triggers import Trigger


def schedules() -> str:
    found = Schedule.objects.enabled().count() + Module.objects.enabled().exclude(full_refresh_cron="").count()
    if not found:
        return "nothing is scheduled"
    lines = late.our_lines()
    if since := late.since():
        hint = late.what_to_do(lines)
        raise ConfigurationInvalid(f"{found} are scheduled and nobody ticks: {since}.", hint=hint)
    if lines and (missing := _only_here()):
        raise ConfigurationInvalid(
            f"Runs that cron starts will not find the secrets {', '.join(missing)}: they are only in this environment.",
            hint="; ".join(f"manage.py secrets set {name}" for name in missing),
        )
    if troubled := [(trigger, problem) for trigger in triggers.enabled() if (problem := _problem(trigger))]:
        first, problem = troubled[0]
        raise ConfigurationInvalid(
            f"{len(troubled)} schedules cannot fire; {first.name.removeprefix('schedule ')}: {problem}",
            hint="Correct them in the admin.",
        )
    by = "cron" if lines else "the scheduler, or somebody else's cron"
    last = Tick.objects.get()
    return f"{found} are scheduled; the last tick was at {last.finished_at:%H:%M:%S} UTC, by {by}"


def _problem(trigger: Trigger) -> str:
    """What keeps it from firing, also before a tick has met it; empty when nothing does."""
    try:
        expression.parse(trigger.expression)
        expression.zone_of(trigger.zone)
    except PipekitError as error:
        return error.message
    return trigger.progress.problem if trigger.progress else ""


def _only_here() -> list[str]:
    names = [reference.removeprefix("$") for reference, _ in installation.used_secrets()]
    return [name for name in names if store().source(name) == "environment"]
