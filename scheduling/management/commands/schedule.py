"""`manage.py schedule NAME WHEN`: set or remove the schedule of a group or module, or show its next times."""

from __future__ import annotations

import datetime as dt
import heapq
import json
from argparse import ArgumentParser
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from connections.management.base import BaseCommand, CommandFailed
from connections.management.exit_codes import ExitCode
from connections.sdk.errors import PipekitError
from modules.cron import expression as cron
from modules.cron import shorthand
from runs.cli.find import not_found
from scheduling import targets, timestamps
from scheduling.models import Action, CatchUp
from scheduling.targets import Target
from scheduling.tick import status

# how far `next` searches: a leap day on a given weekday comes every 28 years, and 40 around 2100
_SEARCH_PERIOD = dt.timedelta(days=36525)
_MAX_DATE = dt.datetime(9999, 12, 1, tzinfo=dt.UTC)
_WHEN = "daily 00:00 | hourly 2 | weekly mon 00:00 | monthly 1 00:00 | '0 */2 * * *' | remove | next"


class Command(BaseCommand):
    help = "Set or remove the schedule of a group or module, or show its next times."
    error_exit_codes = {PipekitError: ExitCode.USAGE}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="a group, a module, or a schedule")
        parser.add_argument("when", nargs="+", help=_WHEN)
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument(
            "--group", action="store_const", dest="kind", const="group", default="", help="NAME is a group"
        )
        kind.add_argument("--module", action="store_const", dest="kind", const="module", help="NAME is a module")
        parser.add_argument(
            "--verify", action="store_true", help="the schedule that verifies it, not the one that runs it"
        )
        parser.add_argument("--timezone", metavar="ZONE", help="such as Europe/Berlin; default: the server's")
        parser.add_argument("--catch-up", choices=CatchUp.values, help="how missed times are handled")
        parser.add_argument("--count", type=int, default=5, help="next: how many times (default: 5)")
        parser.add_argument(
            "--from", dest="start", type=timestamps.timestamp, metavar="ISO", help="next: after this time"
        )
        parser.add_argument("--json", action="store_true", help="next: a JSON list on stdout")

    def handle(self, name: str, when: list[str], **options: Any) -> None:
        try:
            action = Action.VERIFY if options["verify"] else Action.RUN
            target = targets.find(name, kind=options["kind"], action=action)
            if when == ["next"]:
                self._next(target, options)
            elif when == ["remove"]:
                self._remove(target)
            else:
                self._set(target, shorthand.expression_of(when), options)
        except targets.NotFound:
            raise not_found("group or module", name, targets.names(options["kind"])) from None
        except ValidationError as error:
            hint = "manage.py help schedule shows the options."
            message = "\n".join(error.messages)
            raise CommandFailed(message, hint=hint, code="configuration_invalid") from None

    def _set(self, target: Target, expression: str, options: dict[str, Any]) -> None:
        given = {"timezone": options["timezone"], "catch_up": options["catch_up"]}
        schedule = target.set(expression, **{field: value for field, value in given.items() if value})
        zone = cron.zone_of(schedule.timezone)
        first = next(cron.slots(cron.parse(schedule.cron_expr), zone, after=timezone.now()), None)
        then = f"; next {first.at.astimezone(zone).isoformat()}" if first else ""
        does = "verifies " if target.action == Action.VERIFY else ""
        self.stdout.write(
            f"{schedule.name}: {does}{target}, {shorthand.sentence(schedule.cron_expr)} ({schedule.timezone}){then}"
        )
        if schedule.enabled and (since := status.last_tick_words()) and not (lines := status.crontab_lines()):
            self.stderr.write(f"warning: No tick is running, so no schedule fires: {since}. {status.what_to_do(lines)}")

    def _remove(self, target: Target) -> None:
        if not target.schedules:
            raise _none(target, "remove")
        for schedule in target.schedules:
            schedule.delete()
            self.stdout.write(f"{schedule.name}: removed")

    def _next(self, target: Target, options: dict[str, Any]) -> None:
        if not target.schedules:
            raise _none(target, "next")
        times = [time.isoformat() for time in _next_times(target, options["start"], options["count"])]
        if len(times) < options["count"]:
            self.stderr.write(
                f"Only {len(times)} of {options['count']} times: there are no more in the next 100 years."
            )
        for schedule in target.schedules:
            if not schedule.enabled:
                self.stderr.write(f"{schedule.name} is disabled: these times apply only if it is enabled.")
        self.stdout.write(json.dumps(times) if options["json"] else "\n".join(times))


def _none(target: Target, word: str) -> CommandFailed:
    """Return the error for a target without such a schedule; the hint names one with the other action."""
    verifies = target.action == Action.VERIFY
    kind, flag, other = ("verification ", " --verify", "") if verifies else ("", "", " --verify")
    message, hint = f"The {target} has no {kind}schedule.", "manage.py exportconfig lists all schedules."
    if names := target.other_schedules():
        does = "runs it" if verifies else "verifies it"
        missing = "no schedule that verifies it" if verifies else "no schedule that runs it"
        message = f"The {target} has {missing}. It has one that {does}: {', '.join(names)}."
        hint = f"manage.py schedule {target.name}{other} {word}"
    elif word != "remove":
        hint = f"manage.py schedule {target.name}{flag} daily 04:00"
    return CommandFailed(message, hint=hint, code="not_found", returncode=ExitCode.NOT_FOUND)


def _end_of_search(after: dt.datetime) -> dt.datetime:
    return after + min(_SEARCH_PERIOD, _MAX_DATE - after)


def _next_times(target: Target, start: dt.datetime | None, count: int) -> list[dt.datetime]:
    """Return the next times of all its schedules, each in the time zone of its schedule."""
    by_schedule = []
    for schedule in target.schedules:
        zone = cron.zone_of(schedule.timezone)
        after = timestamps.in_zone(start, zone) if start else timezone.now()
        slots = cron.slots(cron.parse(schedule.cron_expr), zone, after=after, until=_end_of_search(after))
        by_schedule.append([slot.at.astimezone(zone) for slot in islice(slots, max(count, 0))])
    # by timestamp, because datetimes with the same tzinfo are compared by local time
    return list(heapq.merge(*by_schedule, key=dt.datetime.timestamp))[: max(count, 0)]
