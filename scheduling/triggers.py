"""Everything that fires by cron expression, alike: schedules, and modules' full_refresh_cron in the server's zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import F

from modules.models import Module
from scheduling.models import Action, CatchUp, Progress, Schedule, server_zone
from scheduling.tick.start import FULL_REFRESH, Begin, Started, start_group, start_module, start_verification

_SCHEDULE = "schedule "


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """What fires and when, with how far ticks have come. Exactly one of the two keys is set."""

    schedule_id: int | None = None
    # of a full refresh
    module_id: int | None = None
    name: str
    expression: str
    zone: str
    catch_up: str
    # what was due before is none of its business, while nobody has looked at it yet
    changed_at: dt.datetime
    progress: Progress | None
    # verify instead of running
    verifies: bool = False
    group_to_run: int | None = None
    module_to_run: int | None = None
    # of what it runs: one of the two
    group_name: str = ""
    module_name: str = ""

    @property
    def seen_as(self) -> str:
        return f"{self.expression} {self.zone}"

    @property
    def key(self) -> str:
        """Its name as long as it lives, whatever people call it."""
        return f"full_refresh:{self.module_id}" if self.schedule_id is None else f"schedule:{self.schedule_id}"

    @property
    def owner(self) -> dict[str, int | None]:
        """The foreign keys of its rows."""
        return {"schedule_id": self.schedule_id, "module_id": self.module_id}

    def start(self, begin: Begin) -> Started:
        """Start what it fires; ``begin`` is called in the transaction that inserts the run, with its number."""
        if self.module_id is not None:
            return start_module(self.module_id, trigger=FULL_REFRESH, begin=begin, full_refresh=True)
        # runs are known by the schedule's name, also when it is gone
        asked: dict[str, Any] = {"trigger": self.key, "actor": self.name.removeprefix(_SCHEDULE), "begin": begin}
        if self.verifies:
            return start_verification(self.module_to_run, self.group_to_run, **asked)
        if self.module_to_run is not None:
            return start_module(self.module_to_run, **asked)
        assert self.group_to_run is not None, "a schedule fires a group or a module"
        return start_group(self.group_to_run, **asked)


def enabled() -> list[Cadence]:
    """In two queries, whatever their number."""
    return [*_schedules(), *_full_refreshes()]


def switch_off(now: dt.datetime) -> None:
    """Mark what is switched off, so that it starts afresh when it is switched on again."""
    off = Progress.objects.exclude(seen_as="")
    for rows in (
        off.filter(schedule__enabled=False),
        off.filter(module__enabled=False),
        off.filter(module__full_refresh_cron=""),
    ):
        if found := list(rows.values_list("pk", flat=True)):
            Progress.objects.filter(pk__in=found).update(seen_as="", seen_until=now, error="", start_error="")
    unknown = Schedule.objects.filter(enabled=False, progress=None).values_list("pk", flat=True)
    if fresh := [Progress(schedule_id=pk, seen_until=now) for pk in unknown]:
        Progress.objects.bulk_create(fresh, ignore_conflicts=True)


def _schedules() -> Iterator[Cadence]:
    named = {"group_name": F("group__name"), "module_name": F("module__name")}
    for row in Schedule.objects.enabled().select_related("progress").annotate(**named):
        yield Cadence(
            schedule_id=row.pk,
            name=f"{_SCHEDULE}{row.name}",
            expression=row.cron_expr,
            zone=row.timezone,
            catch_up=row.catch_up,
            verifies=row.action == Action.VERIFY,
            changed_at=row.updated_at,
            progress=_progress(row),
            group_to_run=row.group_id,
            module_to_run=row.module_id,
            group_name=row.group_name or "",  # type: ignore[attr-defined]
            module_name=row.module_name or "",  # type: ignore[attr-defined]
        )


def _full_refreshes() -> Iterator[Cadence]:
    rows = Module.objects.enabled().exclude(full_refresh_cron="").select_related("full_refresh_progress")
    wanted = rows.only("name", "full_refresh_cron", "updated_at", "full_refresh_progress")
    zone = server_zone()
    for row in wanted:
        yield Cadence(
            module_id=row.pk,
            name=f"full refresh of {row.name}",
            expression=row.full_refresh_cron,
            zone=zone,
            catch_up=CatchUp.LAST,
            changed_at=row.updated_at,
            progress=_progress(row),
            module_name=row.name,
        )


def _progress(row: Schedule | Module) -> Progress | None:
    return getattr(row, "progress" if isinstance(row, Schedule) else "full_refresh_progress", None)
