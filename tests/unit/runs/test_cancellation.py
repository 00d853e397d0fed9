"""The callbacks of a cancellation: each is called once, whatever becomes of the others."""

from __future__ import annotations

import pytest

from connections.sdk.errors import Cancelled
from runs.jrunner.cancel import Cancellation


def fail() -> None:
    raise RuntimeError("the driver is broken")


def test_a_callback_that_fails_is_logged_and_keeps_no_other_from_being_called(
    capfd: pytest.CaptureFixture[str],
) -> None:
    cancellation, called = Cancellation(), list[str]()
    cancellation.on_request(fail)
    cancellation.on_request(lambda: called.append("registered"))
    cancellation.request()
    cancellation.request()
    cancellation.on_request(fail)
    cancellation.on_request(lambda: called.append("at once"))
    assert called == ["registered", "at once"]
    assert capfd.readouterr().err.count("RuntimeError: the driver is broken") == 2
    with pytest.raises(Cancelled):
        cancellation.check()
