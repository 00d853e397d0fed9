"""The metadata database is lost and the configuration imported again: the next run continues from the destination."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from runs.engine.plan import Strategy
from tests.faults.changing_source import Generator, digest, stored_rows
from tests.faults.installs import configure, database, runs
from tests.faults.killed_runs import fault_environment, read_result, wait_until_stopped_at
from tests.harness.bench import Bench
from tests.processes.install import Install

pytestmark = pytest.mark.matrix


@pytest.fixture
def generator(pg_bench: Bench, request: pytest.FixtureRequest) -> Generator:
    generator = Generator(pg_bench, request.param, Random(6), key_sync=request.param is Strategy.INCREMENTAL)
    generator.create_table(60)
    return generator


@pytest.fixture
def install(install_at: Callable[[Path, Generator], Install], generator: Generator, tmp_path: Path) -> Install:
    """An install that has run its module twice; the source has changed since."""
    install = install_at(tmp_path / "var", generator)
    for _ in range(2):
        assert install.manage("runmodule", "orders", "--quiet").code == 0
        generator.change_rows()
    return install


def rebuild(install: Install, generator: Generator) -> None:
    """Delete the metadata and import the configuration again; check that no run is recorded."""
    for file in install.data_dir.glob(f"{database(install).name}*"):
        file.unlink()
    configure(install, generator)
    assert runs(install) == [], "the runs are still known"


@pytest.mark.parametrize("generator", [Strategy.INCREMENTAL, Strategy.APPEND], indirect=True)
def test_after_the_metadata_is_lost_the_next_run_publishes_the_new_rows(install: Install, generator: Generator) -> None:
    rebuild(install, generator)
    assert install.manage("runmodule", "orders", "--quiet").code == 0
    assert digest(stored_rows(generator.bench)) == digest(generator.expected())
    # only the changed rows are read
    assert runs(install, "status, read") == [("success", 30)]


@pytest.mark.parametrize("generator", [Strategy.INCREMENTAL], indirect=True)
def test_after_the_metadata_of_a_killed_run_that_published_is_lost_the_next_run_publishes_everything(
    install: Install, generator: Generator, tmp_path: Path
) -> None:
    log = tmp_path / "points"
    process = install.start("runmodule", "orders", "--quiet", **fault_environment("publish.after_commit=kill9", log))
    process.communicate(timeout=90)
    assert read_result(process.returncode, log).killed
    assert digest(stored_rows(generator.bench)) == digest(generator.expected_before_key_sync())
    rebuild(install, generator)
    assert install.manage("runmodule", "orders", "--quiet").code == 0
    assert digest(stored_rows(generator.bench)) == digest(generator.expected())


@pytest.mark.parametrize("generator", [Strategy.APPEND], indirect=True)
def test_a_run_that_was_active_when_the_metadata_was_lost_does_not_publish_after_the_next_one(
    install: Install, generator: Generator, tmp_path: Path
) -> None:
    log = tmp_path / "points"
    unrecorded = install.start("runmodule", "orders", "--quiet", **fault_environment("transfer.finished=stop", log))
    try:
        wait_until_stopped_at("transfer.finished", unrecorded, log)
        rebuild(install, generator)
        assert install.manage("runmodule", "orders", "--quiet").code == 0
        assert digest(stored_rows(generator.bench)) == digest(generator.expected())
    finally:
        unrecorded.send_signal(signal.SIGCONT)
    _, err = unrecorded.communicate(timeout=90)
    # it was overtaken, or noticed before that that its row is missing
    assert unrecorded.returncode in (1, 130), err
    assert "nothing was published" in err or "this one published nothing" in err
    assert digest(stored_rows(generator.bench)) == digest(generator.expected())
    assert runs(install) == ["success"]


@pytest.mark.parametrize("generator", [Strategy.APPEND], indirect=True)
def test_the_check_fails_if_the_metadata_was_not_lost(
    install: Install, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "unlink", lambda file: None)
    with pytest.raises(AssertionError, match="still known"):
        rebuild(install, generator)
