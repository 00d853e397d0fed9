"""A full disk under the data directory: metadata, log and spool cannot be written, but the run publishes.

The disk is a tmpfs with the whole install on it, so these tests need permission to mount.
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
from tests.faults.changing_source import Generator, digest, stored_rows, table_bytes
from tests.faults.disks.small_disks import mounted
from tests.faults.installs import database, runs, start_with_short_timeouts
from tests.faults.killed_runs import fault_environment, wait_until_stopped_at
from tests.harness.bench import Bench
from tests.processes.install import Install

pytestmark = pytest.mark.matrix


@pytest.fixture
def generator(pg_bench: Bench, request: pytest.FixtureRequest) -> Generator:
    generator = Generator(pg_bench, request.param, Random(4))
    generator.create_table(60)
    return generator


@pytest.fixture
def install(install_at: Callable[[Path, Generator], Install], generator: Generator) -> Iterator[Install]:
    """An install on a small disk that has run its module once; the source has changed since."""
    with mounted("8m") as disk:
        install = install_at(disk / "var", generator)
        assert install.manage("runmodule", "orders", "--quiet").code == 0
        generator.change_rows()
        yield install


@contextmanager
def full_disk(install: Install) -> Iterator[None]:
    """Fill the install's disk for the block; check at its end that the disk is still full.

    A transaction that reads the metadata is open, so that no space of the write-ahead log can be used again.
    """
    with closing(sqlite3.connect(database(install), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM run_log").fetchall()
        filler = install.data_dir / "filling"
        _fill(filler)
        yield
        with pytest.raises(OSError, match="No space left"):
            (install.data_dir / "more").write_bytes(b"1")
    (install.data_dir / "more").unlink()
    filler.unlink()


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as opened:
        for size in (65536, 1):
            with suppress(OSError):
                while True:
                    opened.write(bytes(size))


@contextmanager
def stopped_run(install: Install, log: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a run that stops itself when its rows are staged, and resume it at the end of the block."""
    process = start_with_short_timeouts(install, **fault_environment("transfer.finished=stop", log))
    try:
        wait_until_stopped_at("transfer.finished", process, log)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)


def check_not_recorded(install: Install, process: subprocess.Popen[str]) -> None:
    """Check that the run succeeds and that its result is neither in the metadata nor in the spool."""
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert json.loads(out)["status"] == "success"
    assert runs(install)[-1] == "running", "there was room"
    assert "Neither metadata nor spool could be written: [Errno 28]" in err
    assert not list((install.data_dir / "spool").iterdir())


@pytest.mark.parametrize("generator", [Strategy.APPEND, Strategy.FULL], indirect=True)
def test_a_run_publishes_though_its_result_cannot_be_written_and_is_finalized_by_its_commit_record(
    install: Install, generator: Generator, tmp_path: Path
) -> None:
    with stopped_run(install, tmp_path / "points") as process, full_disk(install):
        process.send_signal(signal.SIGCONT)
        check_not_recorded(install, process)
        assert digest(stored_rows(generator.bench)) == digest(generator.expected())
    assert install.manage("tick").code == 0
    status, inserted, warnings = runs(install, "status, inserted, warnings")[-1]
    assert (status, inserted) == ("success", 30 if generator.strategy is Strategy.APPEND else len(generator.current))
    assert "commit record" in warnings
    generator.change_rows()
    assert install.manage("runmodule", "orders", "--quiet").code == 0
    assert digest(stored_rows(generator.bench)) == digest(generator.expected())


@pytest.mark.parametrize("generator", [Strategy.APPEND], indirect=True)
def test_a_run_that_cannot_be_recorded_fails_with_a_message_and_changes_nothing(
    install: Install, generator: Generator
) -> None:
    before = table_bytes(generator.bench)
    with full_disk(install):
        result = install.manage("runmodule", "orders", "--json")
        assert result.code != 0
        assert "disk is full" in result.err
        assert "Traceback" not in result.err
    assert table_bytes(generator.bench) == before
    assert install.manage("runmodule", "orders", "--quiet").code == 0
    assert digest(stored_rows(generator.bench)) == digest(generator.expected())
    assert set(runs(install)) == {"success"}


@pytest.mark.parametrize("generator", [Strategy.APPEND], indirect=True)
def test_the_check_fails_if_the_result_could_be_recorded(install: Install, tmp_path: Path) -> None:
    with stopped_run(install, tmp_path / "points") as process:
        pass
    with pytest.raises(AssertionError, match="there was room"):
        check_not_recorded(install, process)
