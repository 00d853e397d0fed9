"""The metadata database is lost and configured anew: the next run goes on from what the destination has."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from runs.engine.plan import Strategy
from tests.benches.bench import Bench
from tests.faults.changing_source import Generator, evidence, stored
from tests.faults.installs import configure, database, runs
from tests.faults.killed_runs import ended, faults, stands_at
from tests.processes.install import Install

pytestmark = pytest.mark.matrix


@pytest.fixture
def generator(pg_bench: Bench, request: pytest.FixtureRequest) -> Generator:
    found = Generator(pg_bench, request.param, Random(6), key_sync=request.param is Strategy.INCREMENTAL)
    found.begin(60)
    return found


@pytest.fixture
def install(install_at: Callable[[Path, Generator], Install], generator: Generator, tmp_path: Path) -> Install:
    """An install that has run its module twice."""
    found = install_at(tmp_path / "var", generator)
    for _ in range(2):
        assert found.manage("runmodule", "orders", "--quiet").code == 0
        generator.move_on()
    return found


def rebuild(install: Install, generator: Generator) -> None:
    """Delete the metadata and import the configuration again; prove that nothing of its runs is known."""
    for file in install.data_dir.glob(f"{database(install).name}*"):
        file.unlink()
    configure(install, generator)
    assert runs(install) == [], "the runs are still known"


@pytest.mark.parametrize("generator", [Strategy.INCREMENTAL, Strategy.APPEND], indirect=True)
def test_the_next_run_is_right_after_the_metadata_was_lost(install: Install, generator: Generator) -> None:
    rebuild(install, generator)
    assert install.manage("runmodule", "orders", "--quiet").code == 0
    assert evidence(stored(generator.bench)) == evidence(generator.expected())
    # no more was read than what is new
    assert runs(install, "status, read") == [("success", 30)]


@pytest.mark.parametrize("generator", [Strategy.INCREMENTAL], indirect=True)
def test_so_it_is_when_what_was_lost_held_a_killed_run_that_had_published(
    install: Install, generator: Generator, tmp_path: Path
) -> None:
    log = tmp_path / "points"
    process = install.start("runmodule", "orders", "--quiet", **faults("publish.after_commit=kill9", log))
    process.communicate(timeout=90)
    assert ended(process.returncode, log).killed
    assert evidence(stored(generator.bench)) == evidence(generator.published())
    rebuild(install, generator)
    assert install.manage("runmodule", "orders", "--quiet").code == 0
    assert evidence(stored(generator.bench)) == evidence(generator.expected())


@pytest.mark.parametrize("generator", [Strategy.APPEND], indirect=True)
def test_a_run_that_still_went_does_not_publish_after_the_next_one(
    install: Install, generator: Generator, tmp_path: Path
) -> None:
    log = tmp_path / "points"
    forgotten = install.start("runmodule", "orders", "--quiet", **faults("transfer.finished=stop", log))
    try:
        stands_at("transfer.finished", forgotten, log)
        rebuild(install, generator)
        assert install.manage("runmodule", "orders", "--quiet").code == 0
        assert evidence(stored(generator.bench)) == evidence(generator.expected())
    finally:
        forgotten.send_signal(signal.SIGCONT)
    _, err = forgotten.communicate(timeout=90)
    # it was overtaken, or has noticed before that that its row is gone
    assert forgotten.returncode in (1, 130), err
    assert "nothing was published" in err
    assert evidence(stored(generator.bench)) == evidence(generator.expected())
    assert runs(install) == ["success"]


@pytest.mark.parametrize("generator", [Strategy.APPEND], indirect=True)
def test_metadata_that_is_still_there_is_no_proof(
    install: Install, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "unlink", lambda file: None)
    with pytest.raises(AssertionError, match="still known"):
        rebuild(install, generator)
