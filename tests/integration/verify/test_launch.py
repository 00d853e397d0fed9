"""Verifications whose process cannot be started end with that error."""

from __future__ import annotations

from pathlib import Path

import pytest

from runs.launchers.launcher import LaunchFailed
from runs.models import Verification
from runs.verifications import launch
from runs.verifications.insert import VerificationRequest, queue_verification
from tests.factories import ModuleFactory

pytestmark = pytest.mark.django_db


def test_one_that_is_cancelled_before_the_launch_fails_does_not_keep_the_others_queued(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (queue_verification(ModuleFactory.create(), VerificationRequest()) for _ in range(2))

    class Failing:
        def launch(self, args: list[str], *, log: Path) -> None:
            Verification.objects.get(pk=first.pk).cancel_queued()
            raise LaunchFailed("The process could not be started.")

    monkeypatch.setattr(launch, "configured_launcher", Failing)
    launch.start_verifications([first, second])
    rows = {row.pk: (row.error or {})["code"] for row in Verification.objects.all()}
    assert rows == {first.pk: "cancelled", second.pk: LaunchFailed.code}
