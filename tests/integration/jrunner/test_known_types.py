"""Jobs with the types of their columns: jrunner does not describe the query and the table again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from connections.connectors.postgresql import driver
from connections.connectors.postgresql.copy import described_types, raw_types
from connections.connectors.postgresql.copy.raw import SourceChanged
from connections.sdk.errors import InvalidValue
from connections.sdk.parameters import ConnectionParameters
from runs.jrunner.job import Job
from runs.jrunner.routes.choose import choose_route
from tests.harness.small_databases import System, job, postgresql, transfer_rows


@pytest.fixture
def system(database_url: str) -> System:
    return postgresql(database_url)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of the sides of the job that are connected to before the copy."""
    sides = list[str]()
    connect = driver.connect

    def tracked_connect(parameters: ConnectionParameters) -> driver.PostgresqlSession:
        sides.append(parameters.name)
        return connect(parameters)

    monkeypatch.setattr(driver, "connect", tracked_connect)
    return sides


def typed_job(system: System, query: str, source_types: Sequence[str]) -> Job:
    untyped = job(system, query, system, typed=True)
    columns = [replace(c, source_type=native) for c, native in zip(untyped.columns, source_types, strict=True)]
    return replace(
        untyped,
        columns=tuple(columns),
        source=replace(untyped.source, name="source"),
        destination=replace(untyped.destination, name="destination"),
    )


def test_the_built_in_types_are_those_of_the_server(system: System) -> None:
    with closing(driver.connect(system.parameters)) as session:
        names = list(raw_types._BUILT_IN)
        assert dict(session.fetch(described_types._PORTABLE, (names,))) == dict.fromkeys(names, True)
        oids = session.fetch("SELECT n, to_regtype(n)::oid::bigint FROM unnest(%s::text[]) n", (names,))
        assert dict(oids) == raw_types._BUILT_IN
        spelled = session.fetch("SELECT n, format_type(to_regtype(n), NULL) FROM unnest(%s::text[]) n", (names,))
        assert all(name == spelling for name, spelling in spelled)


def test_known_types_are_not_described_again(system: System, connected: list[str]) -> None:
    system.execute("CREATE TABLE s (n integer, v text)", "INSERT INTO s VALUES (1, 'a')")
    system.execute("CREATE TABLE t (n bigint, v text)")
    connected.clear()
    route = choose_route(typed_job(system, "SELECT n, v FROM s", ["integer", "text"]))
    assert (route.name, connected) == ("raw", [])
    assert "after 1 exact casts" in route.why
    assert transfer_rows(typed_job(system, "SELECT n, v FROM s -- all", ["integer", "text"]))[0] == "raw"
    assert system.rows("SELECT n, v FROM t") == [(1, "a")]


@pytest.mark.parametrize(
    ("source_type", "dest_type", "sides"),
    [
        # the size must be current, since a value with more digits would be rounded silently
        ("numeric(10,2)", "numeric(10,2)", ["source"]),
        ("citext_like", "text", ["source"]),
        ("integer", "int_like", ["destination", "source"]),
    ],
)
def test_other_types_are_described(
    system: System, connected: list[str], source_type: str, dest_type: str, sides: list[str]
) -> None:
    system.execute("CREATE DOMAIN int_like AS integer", "CREATE TYPE citext_like AS ENUM ('a')")
    system.execute(f"CREATE TABLE s (n {source_type})", f"CREATE TABLE t (n {dest_type})")
    work = typed_job(system, "SELECT n FROM s", [source_type])
    work = replace(work, columns=(replace(work.columns[0], dest_type=dest_type),))
    connected.clear()
    choose_route(work)
    assert sorted(connected) == sides


@pytest.mark.parametrize("altered_type", ["bigint", "timestamp without time zone", "text"])
def test_a_source_whose_types_were_altered_is_not_copied(system: System, altered_type: str) -> None:
    system.execute(
        "CREATE TABLE t (n double precision)", f"CREATE TABLE s (n {altered_type})", "INSERT INTO s VALUES (NULL)"
    )
    with pytest.raises(SourceChanged) as caught:
        transfer_rows(typed_job(system, "SELECT n FROM s", ["double precision"]))
    assert caught.value.retryable
    assert system.rows("SELECT count(*) FROM t") == [(0,)]


def test_values_are_checked_when_a_size_in_the_source_was_altered(system: System) -> None:
    system.execute(
        "CREATE TABLE t (n numeric(10,2))", "CREATE TABLE s (n numeric(12,4))", "INSERT INTO s VALUES (1.2345)"
    )
    with pytest.raises(InvalidValue):
        transfer_rows(typed_job(system, "SELECT n FROM s", ["numeric(10,2)"]))
    rows: list[Any] = system.rows("SELECT * FROM t")
    assert rows == []
