"""The PostgreSQL that comes with Pipekit, in directories of all sorts of names."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from connections.connectors.postgresql import embedded


@pytest.fixture
def directory() -> Iterator[Path]:
    # not under pytest's own, which another user may not pass
    found = Path(tempfile.mkdtemp(prefix="pipekit embedded é "))
    found.chmod(0o711)
    yield found / "postgresql"
    embedded.stop(found / "postgresql")
    shutil.rmtree(found)


@pytest.mark.matrix
def test_a_directory_with_blanks_in_its_name_is_as_good_as_any(directory: Path) -> None:
    with psycopg.connect(embedded.ensure_running(directory)) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
