"""The heartbeat of a run continues when its callback fails."""

from __future__ import annotations

import pytest

from runs.lifecycle.heartbeat import Heartbeat
from runs.models import Run
from tests.factories import create_running_run
from tests.processes.commands import wait_until


@pytest.mark.matrix
@pytest.mark.django_db(transaction=True)
def test_a_failing_callback_is_logged_and_does_not_stop_the_heartbeat(caplog: pytest.LogCaptureFixture) -> None:
    run = create_running_run()
    calls = []

    def fail() -> None:
        calls.append(1)
        raise MemoryError

    with Heartbeat(run, on_beat=fail) as heartbeat:
        heartbeat.interval = 1
        wait_until(lambda: Run.objects.get(pk=run.pk).heartbeat >= 2)
    assert len(calls) >= 2
    assert "heartbeat's callback failed" in caplog.text
