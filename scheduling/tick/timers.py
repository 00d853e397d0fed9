"""Timers: everything that starts runs by a cron expression, which is schedules and modules' full_refresh_cron."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db.models import F

from connections.sdk.records import dataclass
from modules.models import Module
from runs.models.execution import StartedBy
from scheduling.models import Action, CatchUp, Progress, Schedule, server_zone
from scheduling.tick.start import OnInsert, StartResult, start_group, start_module, start_verification

_SCHEDULE = "schedule "


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """What is started and when, and up to when that was evaluated. Exactly one of schedule_id and module_id is set."""

    schedule_id: int | None = None
    # the module whose full refresh this is
    module_id: int | None = None
    name: str
    expression: str
    zone: str
    catch_up: str
    # a timer without progress is not evaluated for times before this
    changed_at: dt.datetime
    progress: Progress | None
    # verify instead of running
    verifies: bool = False
    group_to_run: int | None = None
    module_to_run: int | None = None
    # the name of the group or module that it starts; the other is empty
    group_name: str = ""
    module_name: str = ""

    @property
    def seen_as(self) -> str:
        """Expression and time zone, as `Progress.seen_as` stores them."""
        return f"{self.expression} {self.zone}"

    @property
    def key(self) -> str:
        """A key that stays the same when the schedule or module is renamed."""
        return timer_key(self.schedule_id, self.module_id)

    @property
    def owner(self) -> dict[str, int | None]:
        """The foreign keys of its Progress and Slot rows."""
        return {"schedule_id": self.schedule_id, "module_id": self.module_id}

    def start(self, on_insert: OnInsert) -> StartResult:
        """Start its run; ``on_insert`` is called with the run's id in the transaction that inserts it."""
        if self.module_id is not None:
            return start_module(self.module_id, trigger=StartedBy.FULL_REFRESH, on_insert=on_insert, full_refresh=True)
        # the schedule's name is stored with the run, because the schedule may be deleted later
        name = self.name.removeprefix(_SCHEDULE)
        options: dict[str, Any] = {"trigger": self.key, "actor": name, "on_insert": on_insert}
        if self.verifies:
            return start_verification(self.module_to_run, self.group_to_run, **options)
        if self.module_to_run is not None:
            return start_module(self.module_to_run, **options)
        assert self.group_to_run is not None, "a schedule fires a group or a module"
        return start_group(self.group_to_run, **options)


def timer_key(schedule_id: int | None, module_id: int | None) -> str:
    """Return the key of a schedule, which is also the trigger of its runs, or of the full refresh of a module."""
    if schedule_id is not None:
        return StartedBy.SCHEDULE.numbered(schedule_id)
    return StartedBy.FULL_REFRESH.numbered(module_id)


def enabled() -> list[Timer]:
    """Return all enabled timers, in two queries."""
    return [*_schedules(), *_full_refreshes()]


def mark_disabled(now: dt.datetime) -> None:
    """Reset the progress of disabled timers, so that they miss nothing until they are enabled again."""
    active = Progress.objects.exclude(seen_as="")
    for rows in (
        active.filter(schedule__enabled=False),
        active.filter(module__enabled=False),
        active.filter(module__full_refresh_cron=""),
    ):
        if pks := list(rows.values_list("pk", flat=True)):
            Progress.objects.filter(pk__in=pks).update(seen_as="", seen_until=now, error="", start_error="")
    unknown = Schedule.objects.filter(enabled=False, progress=None).values_list("pk", flat=True)
    if new := [Progress(schedule_id=pk, seen_until=now) for pk in unknown]:
        Progress.objects.bulk_create(new, ignore_conflicts=True)


def _schedules() -> Iterator[Timer]:
    named = {"group_name": F("group__name"), "module_name": F("module__name")}
    for row in Schedule.objects.enabled().select_related("progress").annotate(**named):
        yield Timer(
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


def _full_refreshes() -> Iterator[Timer]:
    rows = Module.objects.enabled().exclude(full_refresh_cron="").select_related("full_refresh_progress")
    zone = server_zone()
    for row in rows.only("name", "full_refresh_cron", "updated_at", "full_refresh_progress"):
        yield Timer(
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
