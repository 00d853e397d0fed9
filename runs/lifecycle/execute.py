"""Carry one claimed run out in this process: plan, engine, record."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import replace

from django.db import DatabaseError, InterfaceError, connection

from connections.sdk import lock_waits
from connections.sdk.errors import Cancelled, Lost, PipekitError
from runs.engine import retry as retrying
from runs.engine import sync
from runs.engine.events import Event, Published, Waiting, Warned
from runs.engine.faults import point
from runs.engine.plan import Plan
from runs.engine.publish import publish
from runs.engine.sessions import with_short_timeout
from runs.lifecycle import plan as planning
from runs.lifecycle import retry_policy, signals
from runs.lifecycle.heartbeat import Heartbeat
from runs.lifecycle.record import Recorder
from runs.models import Run
from runs.models.states import IllegalTransition


def execute(
    run: Run,
    *,
    listen: Callable[[Event], None] = lambda event: None,
    retry: bool = False,
    change: Callable[[Plan], Plan] = lambda plan: plan,
) -> Run:
    """Run to the end and return the run in its final state; no exception of the run's own leaves here.

    ``listen`` hears every event after it is recorded. With ``retry`` failures that can pass are tried again as the
    module says. ``change`` makes the plan another than the module's.
    """
    with Recorder(run) as recorder:
        point("run.claimed")
        heartbeat = Heartbeat(run, meanwhile=recorder.cap_log)
        try:
            signals.release()
            with heartbeat:
                _carry_out(recorder, listen, retry=retry, change=change)
                # done: from here a cancel comes too late
                signals.shield()
        except KeyboardInterrupt:
            signals.shield()
            _stop(recorder, lost=heartbeat.lost)
        except IllegalTransition:
            # settled by another process or gone, which a write found out before the heartbeat did
            signals.shield()
            _stop(recorder, lost=_is_gone(run))
    return run


def _carry_out(
    recorder: Recorder, listen: Callable[[Event], None], *, retry: bool, change: Callable[[Plan], Plan]
) -> None:
    def hear(event: Event) -> None:
        recorder.record(event)
        listen(event)

    # told events are closed with the block, and with them whatever they had open
    with (
        closing(_events(recorder.run, change(planning.plan(recorder.run)), retry=retry)) as told,
        lock_waits.reported_to(lambda message: hear(Waiting(message))),
    ):
        for event in told:
            hear(event)


def _events(run: Run, plan: Plan, *, retry: bool) -> Generator[Event, None, None]:
    if not retry:
        return sync.run(plan)
    assert run.module is not None
    return retrying.run(plan, retry_policy.of(run.module), still_ours=lambda: _still_ours(run))


def _still_ours(run: Run) -> bool:
    try:
        return not run.must_stop()
    except (DatabaseError, InterfaceError):
        # metadata that is away says nothing; a run that was overtaken hears it from the destination, too
        connection.close()
        return True


def _is_gone(run: Run) -> bool:
    try:
        return run.is_gone()
    except (DatabaseError, InterfaceError):
        connection.close()
        return True


def _stop(recorder: Recorder, *, lost: bool) -> None:
    """Find out whether the interrupt came in time; raises Cancelled (or Lost, when nobody cancelled) when it did."""
    if not recorder.published and recorder.publishing and (found := _find(planning.plan(recorder.run))):
        # what was published is known, also where no row is left to say so
        with suppress(IllegalTransition):
            recorder.record(found)
    if not recorder.published and lost:
        raise Lost(
            "The metadata database knows this run no more, or has settled it; nothing was published.",
            hint="Was the metadata exchanged or restored while it ran? Run it again.",
        )
    if not recorder.published:
        raise Cancelled("The run was cancelled; nothing was published.")
    if lost:
        recorder.record(
            Warned("The metadata database knows this run no more; what was left of key_sync and hooks was not done.")
        )
        return
    recorder.record(
        Warned("The cancel came too late, the rows are published; what was left of key_sync and hooks was not done.")
    )


def _find(plan: Plan) -> Published | None:
    try:
        return publish.find(replace(plan, destination=with_short_timeout(plan.destination)))
    except PipekitError as error:
        raise Cancelled(
            "The run was cancelled while it published; whether it did is not known.",
            hint="Run it again: it starts from what the destination has.",
            detail=error.message,
        ) from error
