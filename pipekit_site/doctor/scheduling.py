"""Doctor's check of schedules: that somebody ticks every minute, and that what is fired then finds its secrets."""

from __future__ import annotations

import shutil

from django.utils import timezone

from connections.sdk.errors import ConfigurationInvalid, PipekitError
from connections.secrets import store
from modules.models import Module
from pipekit_site.doctor import installation
from scheduling import cadences, cron, installing
from scheduling.cadences import Cadence
from scheduling.models import Schedule, Tick
from scheduling.ticking import GAP


def schedules() -> str:
    found = Schedule.objects.enabled().count() + Module.objects.enabled().exclude(full_refresh_cron="").count()
    if not found:
        return "nothing is scheduled"
    last, lines = Tick.objects.order_by("pk").first(), _our_lines()
    if last is None or timezone.now() - last.finished_at > GAP:
        since = f"the last was at {last.finished_at:%Y-%m-%d %H:%M:%S} UTC" if last else "there has been none"
        raise ConfigurationInvalid(f"{found} are scheduled and nobody ticks: {since}.", hint=_what_to_do(lines))
    if lines and (missing := _only_here()):
        raise ConfigurationInvalid(
            f"Runs that cron starts will not find the secrets {', '.join(missing)}: they are only in this environment.",
            hint="; ".join(f"manage.py secrets set {name}" for name in missing),
        )
    if troubled := [(cadence, problem) for cadence in cadences.enabled() if (problem := _problem(cadence))]:
        first, problem = troubled[0]
        raise ConfigurationInvalid(
            f"{len(troubled)} schedules cannot fire; {first.name.removeprefix('schedule ')}: {problem}",
            hint="Correct them in the admin.",
        )
    by = "cron" if lines else "the scheduler, or somebody else's cron"
    return f"{found} are scheduled; the last tick was at {last.finished_at:%H:%M:%S} UTC, by {by}"


def _problem(cadence: Cadence) -> str:
    """What keeps it from firing, also before a tick has met it; empty when nothing does."""
    try:
        cron.parse(cadence.expression)
        cron.zone_of(cadence.zone)
    except PipekitError as error:
        return error.message
    return cadence.progress.problem if cadence.progress else ""


def _our_lines() -> list[str]:
    try:
        return installing.installed_lines()
    except PipekitError:
        return []


def _what_to_do(lines: list[str]) -> str:
    if shutil.which("crontab") is None:
        return "This machine has no crontab program: keep `manage.py scheduler` running, or install cron."
    if not lines:
        return "manage.py installcron, or keep `manage.py scheduler` running."
    return "The line is in the crontab. Does cron run (systemctl status cron)? What it said is in logs/tick.log."


def _only_here() -> list[str]:
    names = [reference.removeprefix("$") for reference, _ in installation.used_secrets()]
    return [name for name in names if store().source(name) == "environment"]
