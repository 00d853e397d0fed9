"""Connection test in steps, each reported with its error and what to do. No Django; leaves nothing behind.

The steps, in order, as far as they apply: secret, url, host, port, driver, health, login (for a file: file), database,
read, write. The first one that fails ends the test.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from connections.probe.result import Result, Step
from connections.probe.steps import State, applicable_steps
from connections.sdk.errors import PipekitError
from connections.sdk.parameters import ConnectionParameters
from connections.secrets.redaction import redactor


def probe_connection(
    resolve: Callable[[], ConnectionParameters],
    *,
    name: str,
    kind: str,
    write: bool = False,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Result:
    """Test the connection with the parameters that ``resolve`` returns, including secrets; ``write`` tests writing too.

    ``on_step`` is called with each step as it ends. Errors are in the result, not raised.
    """
    state = State(resolve)
    results: list[Step] = []
    try:
        for label, function in applicable_steps(state, write=write):
            step = _run_step(label, function, state)
            results.append(step)
            on_step(step)
            if not step.ok:
                break
    finally:
        if state.session is not None:
            state.session.close()
    return Result(connection=name, kind=kind, steps=tuple(results))


def _run_step(label: str, function: Callable[[State], str], state: State) -> Step:
    started = time.monotonic()
    message, error = "", None
    try:
        message = function(state)
    except PipekitError as failure:
        message, error = failure.message, failure.as_dict()
    # a server's error may repeat the password it was sent
    message = redactor().text(message)
    error = error and {name: redactor().text(text) for name, text in error.items()}
    milliseconds = round((time.monotonic() - started) * 1000)
    return Step(name=label, ok=error is None, milliseconds=milliseconds, message=message, error=error)
