"""Executes one run in this process: makes the plan, runs the engine, records its events."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connection

from connections.sdk import lock_wait_reports
from connections.sdk.errors import Cancelled, Lost, PipekitError
from modules.models import Module
from runs.engine import sync
from runs.engine.events import Event, Published, Waiting, Warned
from runs.engine.faults import point
from runs.engine.plan import Plan
from runs.engine.publish.commit import find_published
from runs.engine.retry import RetryPolicy, run_with_retries
from runs.engine.sessions import with_short_timeout
from runs.lifecycle import signals
from runs.lifecycle.build_plan import build_failure_hooks, build_plan
from runs.lifecycle.connection_limit import wait_for_turn
from runs.lifecycle.heartbeat import Heartbeat
from runs.lifecycle.metadata_retry import retry_metadata
from runs.lifecycle.record import Recorder
from runs.models import Run
from runs.models.publish_outcome import unfinished_sentence
from runs.models.setting import Setting, SettingInvalid, current_settings
from runs.models.transitions import IllegalTransition

if TYPE_CHECKING:  # only a comparison imports DuckDB and Arrow
    from runs.engine.verify.verify import VerificationResult


def execute_run(
    run: Run,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    retry: bool = False,
    repair: VerificationResult | None = None,
) -> Run:
    """Execute the run and return it in its final state; errors are recorded in it and not raised.

    ``on_event`` is called with each event after it is recorded. With ``retry``, transient failures are retried by the
    module's retry policy. With ``repair`` it repairs these differences.
    """
    with Recorder(run) as recorder:

        def handle(event: Event) -> None:
            recorder.record(event)
            on_event(event)

        point("run.inserted")
        heartbeat = Heartbeat(run, on_beat=recorder.cap_log)
        try:
            signals.end_deferral()
            with heartbeat:
                _run_engine(recorder, heartbeat, handle, retry=retry, repair=repair)
                # from here a cancel is too late
                signals.shield()
        except KeyboardInterrupt:
            signals.shield()
            _end_interrupted(recorder, on_event, is_row_gone=heartbeat.is_row_gone)
        except IllegalTransition:
            # finalized by another process, or deleted; a write noticed before the heartbeat did
            signals.shield()
            _end_interrupted(recorder, on_event, is_row_gone=_is_gone(run))
        except sync.RunStopped as stopped:
            signals.shield()
            _end_interrupted(recorder, on_event, is_row_gone=_is_gone(run), failure=stopped.__cause__)
    return run


def _run_engine(
    recorder: Recorder,
    heartbeat: Heartbeat,
    handle: Callable[[Event], None],
    *,
    retry: bool,
    repair: VerificationResult | None,
) -> None:
    settings: Setting | None = None
    try:
        # as they are when the run starts
        settings = read = retry_metadata(current_settings)
        heartbeat.interval = read.heartbeat_seconds
        if warning := _limit_log(recorder, read):
            handle(warning)
        wait_for_turn(recorder.run, lambda message: handle(Waiting(message)))
        plan = retry_metadata(lambda: _plan(recorder.run, read, repair))
        recorder.set_plan(plan)
    except IllegalTransition:
        raise
    except Exception as error:
        if _must_stop(recorder.run):
            raise sync.RunStopped from error
        for event in _hooks_without_plan(recorder.run, settings):
            handle(event)
        raise
    # closing the generator closes the sessions that it has open
    with (
        closing(_events(recorder.run, plan, retry=retry)) as run_events,
        lock_wait_reports.reported_to(lambda message: handle(Waiting(message))),
    ):
        for event in run_events:
            handle(event)


def _limit_log(recorder: Recorder, settings: Setting) -> Warned | None:
    """Set the limit of the log; return a warning if it cannot be read, which is no reason not to run."""
    try:
        recorder.max_log_bytes = settings.run_log_megabytes * 1_000_000
    except SettingInvalid as error:
        return Warned(f"The size of the run's log is not limited. {error}")
    return None


def _plan(run: Run, settings: Setting, repair: VerificationResult | None) -> Plan:
    return build_plan(
        _module(run),
        token=run.token,
        full_refresh=run.full_refresh,
        force=run.force,
        dry_run=run.dry_run,
        restore=run.restore,
        log_path=run.log_file,
        settings=settings,
        repair=repair,
    )


def _module(run: Run) -> Module:
    assert run.module is not None, "a module cannot be deleted while it runs"
    return run.module


def _hooks_without_plan(run: Run, settings: Setting | None) -> Iterator[Event]:
    """Run the failure hooks of a run that failed before it had a plan."""
    if run.dry_run or run.restore or settings is None:
        return
    try:
        hooks, problems = build_failure_hooks(_module(run), settings)
    except Exception as error:  # whatever it is, it must not hide the error of the run
        yield Warned(f"The failure hooks were not executed: {type(error).__name__}: {error}")
        return
    yield from map(Warned, problems)
    yield from sync.failure_hooks(hooks)


def _events(run: Run, plan: Plan, *, retry: bool) -> Generator[Event, None, None]:
    if not retry:
        return sync.execute_plan(plan, must_stop=lambda: _must_stop(run))
    return run_with_retries(plan, _retry_policy(_module(run)), must_stop=lambda: _must_stop(run))


def _must_stop(run: Run) -> bool:
    try:
        return run.must_stop()
    except (DatabaseError, InterfaceError):
        # unknown while the metadata is unavailable; the destination's claim also stops a run that was overtaken
        connection.close()
        return False


def _is_gone(run: Run) -> bool:
    try:
        return run.is_gone()
    except (DatabaseError, InterfaceError):
        connection.close()
        return True


def _end_interrupted(
    recorder: Recorder,
    on_event: Callable[[Event], None],
    *,
    is_row_gone: bool,
    failure: BaseException | None = None,
) -> None:
    """Raise Cancelled, or Lost if no cancel was requested, unless the interrupted run had published already.

    ``failure`` is the error that the run met before it noticed; it is logged, or a warning if the run had published.
    """
    text = failure.message if isinstance(failure, PipekitError) else f"{type(failure).__name__}: {failure}"
    if failure is not None:
        recorder.log(f"failed: {text}")
    # by the plan that was executed: the module may have been changed since
    plan = recorder.plan if recorder.publishing and not recorder.published else None
    if plan is not None and (published := _find(plan)):
        # counted as published even if the row that would record it is gone
        with suppress(IllegalTransition):
            recorder.record(published)
    recorder.effect.rule_out_publish()
    if not recorder.published and is_row_gone:
        raise Lost(
            "The run's row was deleted from the metadata database, or finalized by another process; nothing was"
            " published.",
            hint="Check whether the metadata database was replaced or restored meanwhile, then run it again.",
        )
    if not recorder.published:
        raise Cancelled("The run was cancelled; nothing was published.")
    why = "The cancel came too late"
    if is_row_gone:
        why = "The run's row was deleted from the metadata database or finalized by another process"
    ending = f"{why}: the rows are published. {unfinished_sentence(recorder.run.unfinished)}"
    for warning in (*([] if failure is None else [text]), ending):
        recorder.record(Warned(warning))
        # the terminal may be closed
        with suppress(OSError):
            on_event(Warned(warning))


def _find(plan: Plan) -> Published | None:
    try:
        return find_published(replace(plan, destination=with_short_timeout(plan.destination)))
    except PipekitError as error:
        raise Cancelled(
            "The run was cancelled while publishing; whether it published is not known.",
            hint="Run it again: it continues from what is in the destination.",
            detail=error.message,
        ) from error


def _retry_policy(module: Module) -> RetryPolicy:
    return RetryPolicy(
        max_retries=module.max_retries,
        delay=module.retry_delay,
        max_delay=module.max_retry_delay,
        exponential=module.exponential_backoff,
        timeout=module.retry_timeout,
    )
