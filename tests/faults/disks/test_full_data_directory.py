"""The disk of the data directory is full: metadata, log and spool take nothing, and the run publishes all the same.

The disk is a tmpfs with the whole install on it, so these need the right to mount.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from runs.engine.plan import Strategy
from tests.benches.bench import Bench
from tests.faults.changing_source import Generator, bytes_of, evidence, stored
from tests.faults.disks.small_disks import mounted
from tests.faults.installs import database, impatient, runs
from tests.faults.killed_runs import faults, stands_at
from tests.processes.install import Install

pytestmark = pytest.mark.matrix


@pytest.fixture
def generator(pg_bench: Bench, request: pytest.FixtureRequest) -> Generator:
    found = Generator(pg_bench, request.param, Random(4))
    found.begin(60)
    return found


@pytest.fixture
def install(install_at: Callable[[Path, Generator], Install], generator: Generator) -> Iterator[Install]:
    """An install on a small disk of its own that has run its module once."""
    with mounted("8m") as disk:
        found = install_at(disk / "var", generator)
        assert found.manage("runmodule", "orders", "--quiet").code == 0
        generator.move_on()
        yield found


@contextmanager
def filled(install: Install) -> Iterator[None]:
    """Fill the disk, with a reader of the metadata there, for whom the write-ahead log must keep what it has.

    Proves at the end that there was no room in between.
    """
    with closing(sqlite3.connect(database(install), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM run_log").fetchall()
        filling = install.data_dir / "filling"
        _fill(filling)
        yield
        with pytest.raises(OSError, match="No space left"):
            (install.data_dir / "more").write_bytes(b"1")
    (install.data_dir / "more").unlink()
    filling.unlink()


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as opened:
        for size in (65536, 1):
            with suppress(OSError):
                while True:
                    opened.write(bytes(size))


@contextmanager
def standing(install: Install, log: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that stands still when its rows are staged, and goes on at the end of the block."""
    running = impatient(install, **faults("transfer.finished=stop", log))
    try:
        stands_at("transfer.finished", running, log)
        yield running
    finally:
        running.send_signal(signal.SIGCONT)


def written_nowhere(install: Install, running: subprocess.Popen[str]) -> None:
    """Prove that the run ended well, and that neither metadata nor spool know it."""
    out, err = running.communicate(timeout=90)
    assert running.returncode == 0, err
    assert json.loads(out)["status"] == "success"
    assert runs(install)[-1] == "running", "there was room"
    assert "Neither metadata nor spool could be written: [Errno 28]" in err
    assert not list((install.data_dir / "spool").iterdir())


@pytest.mark.parametrize("generator", [Strategy.APPEND, Strategy.FULL], indirect=True)
def test_a_run_publishes_while_nothing_can_be_written_and_is_settled_by_its_commit_record(
    install: Install, generator: Generator, tmp_path: Path
) -> None:
    with standing(install, tmp_path / "points") as running, filled(install):
        running.send_signal(signal.SIGCONT)
        written_nowhere(install, running)
        assert evidence(stored(generator.bench)) == evidence(generator.expected())
    assert install.manage("tick").code == 0
    status, inserted, warnings = runs(install, "status, inserted, warnings")[-1]
    assert (status, inserted) == ("success", 30 if generator.strategy is Strategy.APPEND else len(generator.now))
    assert "commit record" in warnings
    generator.move_on()
    assert install.manage("runmodule", "orders", "--quiet").code == 0
    assert evidence(stored(generator.bench)) == evidence(generator.expected())


@pytest.mark.parametrize("generator", [Strategy.APPEND], indirect=True)
def test_a_run_that_cannot_begin_says_so_and_changes_nothing(install: Install, generator: Generator) -> None:
    before = bytes_of(generator.bench)
    with filled(install):
        done = install.manage("runmodule", "orders", "--json")
        print(done)
        assert done.code != 0
        assert "disk is full" in done.err
        assert "Traceback" not in done.err
    assert bytes_of(generator.bench) == before
    assert install.manage("runmodule", "orders", "--quiet").code == 0
    assert evidence(stored(generator.bench)) == evidence(generator.expected())
    assert set(runs(install)) == {"success"}


@pytest.mark.parametrize("generator", [Strategy.APPEND], indirect=True)
def test_with_room_left_there_is_no_proof(install: Install, tmp_path: Path) -> None:
    with standing(install, tmp_path / "points") as running:
        pass
    with pytest.raises(AssertionError, match="there was room"):
        written_nowhere(install, running)
