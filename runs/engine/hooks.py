"""Step six, hooks: the user's SQL before and after the rest, on the connection each names."""

from __future__ import annotations

from collections.abc import Generator

from connections.sdk.errors import PipekitError
from runs.engine.connecting import open_session
from runs.engine.events import Event, Warned
from runs.engine.faults import point
from runs.engine.plan import Plan, RunOn


def run(plan: Plan, *moments: RunOn) -> Generator[Event, None, None]:
    """Run the hooks of these moments in order, each in a session of its own, its text untouched.

    One that must succeed raises its error, said to be the hook's; the others become warnings.
    """
    for number, hook in enumerate(plan.hooks, start=1):
        if hook.run_on not in moments:
            continue
        point("hooks.before_one")
        try:
            with open_session(hook.connection) as session:
                session.execute(hook.sql)
        except PipekitError as error:
            standing = "; the rows are published" if hook.run_on is RunOn.SUCCESS else ""
            error.message = f"Hook {number} ({hook.run_on.value}) failed{standing}: {error.message}"
            error.args = (error.message,)
            if hook.must_succeed:
                raise
            yield Warned(error.message)
