"""Benches for engine tests: SQLite or PostgreSQL as the source, embedded PostgreSQL as the destination."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connections.sdk.parameters import ConnectionParameters
from runs.engine import sync
from runs.engine.publish import key_sync
from tests.runs.engine import in_process
from tests.runs.engine.bench import Bench


@pytest.fixture
def warehouse(database_url: str) -> ConnectionParameters:
    """A fresh PostgreSQL database as a destination."""
    return ConnectionParameters(kind="postgresql", url=database_url, name="warehouse")


@pytest.fixture
def erp(tmp_path: Path) -> ConnectionParameters:
    """A new SQLite file as a source."""
    url = f"jdbc:sqlite:{tmp_path / 'erp.db'}"
    return ConnectionParameters(kind="sqlite", url=url, options={"create": True}, name="erp")


@pytest.fixture
def bench(erp: ConnectionParameters, warehouse: ConnectionParameters) -> Bench:
    """SQLite to PostgreSQL."""
    return Bench(erp, warehouse)


@pytest.fixture
def shop(new_database: Callable[[], str]) -> ConnectionParameters:
    """A second PostgreSQL database, as a source."""
    return ConnectionParameters(kind="postgresql", url=new_database(), name="shop")


@pytest.fixture
def pg_bench(shop: ConnectionParameters, warehouse: ConnectionParameters) -> Bench:
    """PostgreSQL to PostgreSQL."""
    return Bench(shop, warehouse)


@pytest.fixture
def transfer_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Move rows in this process: the same routes, readers and writers, without the start of a child for each run."""
    monkeypatch.setattr(sync, "transfer", in_process.transfer)
    monkeypatch.setattr(key_sync, "transfer", in_process.transfer)


@pytest.fixture
def between(
    tmp_path: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], Bench]:
    """Make benches between two kinds of systems; rows move in this process, which is quicker for many runs."""
    monkeypatch.setattr(sync, "transfer", in_process.transfer)

    def system(kind: str, name: str) -> ConnectionParameters:
        url = new_database() if kind == "postgresql" else f"jdbc:{kind}:{tmp_path / name}.{kind}"
        return ConnectionParameters(kind=kind, url=url, options={"create": True}, name=name)

    return lambda source, dest: Bench(system(source, "erp"), system(dest, "warehouse"))


@pytest.fixture
def bench_to(erp: ConnectionParameters, warehouse_of: Callable[[str], ConnectionParameters]) -> Callable[[str], Bench]:
    """SQLite to a new database of the kind that is asked for."""
    return lambda kind: Bench(erp, warehouse_of(kind))


@pytest.fixture
def warehouse_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], ConnectionParameters]:
    """Make an empty destination of a kind: a file, or the PostgreSQL database of this test."""

    def make(kind: str) -> ConnectionParameters:
        if kind == "postgresql":
            found: ConnectionParameters = request.getfixturevalue("warehouse")
            return found
        url = f"jdbc:{kind}:{tmp_path / f'warehouse.{kind}'}"
        return ConnectionParameters(kind=kind, url=url, options={"create": True}, name="warehouse")

    return make
