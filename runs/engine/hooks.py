"""Executes the hooks: the user's SQL before and after the steps of a run, on the connection that each hook names."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence

from connections.sdk.errors import PipekitError
from runs.engine.events import Event, HookFailed, HookStarted, HookSucceeded, Warned
from runs.engine.faults import point
from runs.engine.plan import Hook, RunOn
from runs.engine.sessions import open_session


def run_hooks(
    hooks: Sequence[Hook | None], *run_on: RunOn, published: bool = False, succeeded: Collection[int] = ()
) -> Generator[Event, None, None]:
    """Run the hooks with these values of ``run_on`` in order, each in its own session and with its text unchanged.

    None stands for a hook that cannot be executed, so that the others keep their numbers. Those whose numbers are in
    ``succeeded`` are left out: an earlier attempt has executed them. ``published``: the rows are, which errors say.
    Raises the error of a hook that must succeed, with the hook's number in the message; others become warnings.
    """
    for number, hook in enumerate(hooks, start=1):
        if hook is None or hook.run_on not in run_on or number in succeeded:
            continue
        yield HookStarted(number, hook.run_on.value, hook.connection.name)
        point("hooks.before_one")
        try:
            with open_session(hook.connection) as session:
                session.execute(hook.sql)
        except PipekitError as error:
            state = "; the rows are published" if published else ""
            error.reword(f"Hook {number} ({hook.run_on.value}) failed{state}: {error.message}")
            if hook.must_succeed:
                raise
            yield Warned(error.message)
            yield HookFailed(number)
        else:
            yield HookSucceeded(number)
