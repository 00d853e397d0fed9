"""The log files of runs, group runs and verifications whose numbers were given before, or that are gone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from runs import logs
from runs.lifecycle.insert import RunRequest, insert_run, queue_group_run
from runs.models import GroupRun, Run, Verification
from runs.verifications.insert import VerificationRequest, insert_verification
from tests.factories import GroupFactory, ModuleFactory

pytestmark = pytest.mark.django_db
INSERT: list[tuple[str, Callable[[], Run | GroupRun | Verification]]] = [
    ("runs", lambda: insert_run(ModuleFactory.create(), RunRequest())),
    ("group_runs", lambda: queue_group_run(GroupFactory.create(), RunRequest())),
    ("verifications", lambda: insert_verification(ModuleFactory.create(), VerificationRequest())),
]


@pytest.mark.parametrize(("folder", "insert"), INSERT)
def test_the_log_of_an_earlier_row_with_the_same_number_is_kept_apart(
    folder: str, insert: Callable[[], Run | GroupRun | Verification]
) -> None:
    directory = Path(settings.PIPEKIT.log_dir) / folder
    directory.mkdir(parents=True, exist_ok=True)
    # numbers follow each other
    earlier = directory / f"{insert().pk + 1}.log"
    earlier.write_text("of an earlier one\n")
    os.utime(earlier, (1.8e9, 1.8e9))
    row = insert()
    assert row.log_file == earlier
    logs.write(row, "its own")
    kept = earlier.with_name(f"{earlier.stem}.until-20270115T080000.000000Z.log")
    assert kept.read_text() == "of an earlier one\n"
    first, second = earlier.read_text().splitlines()
    assert (str(kept) in first, second.endswith("its own")) == (True, True)
