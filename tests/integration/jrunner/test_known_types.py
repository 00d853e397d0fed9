"""A job that carries the types of its columns: jrunner does not ask the systems for them again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from connections.connectors.postgresql import driver
from connections.connectors.postgresql.copy import raw_types
from connections.sdk.errors import InvalidValue
from connections.sdk.parameters import ConnectionParameters
from runs.jrunner.job import Job
from runs.jrunner.routes.choose import choose
from runs.jrunner.routes.raw import SourceChanged
from tests.benches.small_databases import System, job, moved, postgresql


@pytest.fixture
def system(database_url: str) -> System:
    return postgresql(database_url)


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sides that a route connects to before it copies."""
    sides = list[str]()
    connect = driver.connect

    def noted(parameters: ConnectionParameters) -> driver.PostgresqlSession:
        sides.append(parameters.name)
        return connect(parameters)

    monkeypatch.setattr(driver, "connect", noted)
    return sides


def typed(system: System, query: str, source_types: Sequence[str]) -> Job:
    made = job(system, query, system, typed=True)
    columns = [replace(c, source_type=native) for c, native in zip(made.columns, source_types, strict=True)]
    return replace(
        made,
        columns=tuple(columns),
        source=replace(made.source, name="source"),
        destination=replace(made.destination, name="destination"),
    )


def test_every_known_type_is_what_the_server_says(system: System) -> None:
    with closing(driver.connect(system.parameters)) as session:
        names = list(raw_types._BUILT_IN)
        assert dict(session.fetch(raw_types._PORTABLE, (names,))) == dict.fromkeys(names, True)
        oids = session.fetch("SELECT n, to_regtype(n)::oid::bigint FROM unnest(%s::text[]) n", (names,))
        assert dict(oids) == raw_types._BUILT_IN
        spelled = session.fetch("SELECT n, format_type(to_regtype(n), NULL) FROM unnest(%s::text[]) n", (names,))
        assert all(name == spelling for name, spelling in spelled)


def test_types_that_are_known_are_not_described_again(system: System, described: list[str]) -> None:
    system.execute("CREATE TABLE s (n integer, v text)", "INSERT INTO s VALUES (1, 'a')")
    system.execute("CREATE TABLE t (n bigint, v text)")
    described.clear()
    route = choose(typed(system, "SELECT n, v FROM s", ["integer", "text"]))
    assert (route.name, described) == ("raw", [])
    assert "after 1 exact casts" in route.why
    assert moved(typed(system, "SELECT n, v FROM s -- all", ["integer", "text"]))[0] == "raw"
    assert system.rows("SELECT n, v FROM t") == [(1, "a")]


@pytest.mark.parametrize(
    ("have", "want", "sides"),
    [
        # a value that is too precise would be rounded silently, so the source's size must be current
        ("numeric(10,2)", "numeric(10,2)", ["source"]),
        ("citext_like", "text", ["source"]),
        ("integer", "int_like", ["destination", "source"]),
    ],
)
def test_other_types_are_described(
    system: System, described: list[str], have: str, want: str, sides: list[str]
) -> None:
    system.execute("CREATE DOMAIN int_like AS integer", "CREATE TYPE citext_like AS ENUM ('a')")
    system.execute(f"CREATE TABLE s (n {have})", f"CREATE TABLE t (n {want})")
    work = typed(system, "SELECT n FROM s", [have])
    work = replace(work, columns=(replace(work.columns[0], dest_type=want),))
    described.clear()
    choose(work)
    assert sorted(described) == sides


@pytest.mark.parametrize("now", ["bigint", "timestamp without time zone", "text"])
def test_a_source_that_was_altered_since_is_not_copied(system: System, now: str) -> None:
    system.execute("CREATE TABLE t (n double precision)", f"CREATE TABLE s (n {now})", "INSERT INTO s VALUES (NULL)")
    with pytest.raises(SourceChanged) as failed:
        moved(typed(system, "SELECT n FROM s", ["double precision"]))
    assert failed.value.retryable
    assert system.rows("SELECT count(*) FROM t") == [(0,)]


def test_a_size_that_was_taken_from_the_source_since_is_noticed(system: System) -> None:
    system.execute(
        "CREATE TABLE t (n numeric(10,2))", "CREATE TABLE s (n numeric(12,4))", "INSERT INTO s VALUES (1.2345)"
    )
    with pytest.raises(InvalidValue):
        moved(typed(system, "SELECT n FROM s", ["numeric(10,2)"]))
    rows: list[Any] = system.rows("SELECT * FROM t")
    assert rows == []
