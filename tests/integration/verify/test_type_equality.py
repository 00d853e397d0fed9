"""The connectors' description of which values of a type are equal, compared with the systems themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connections import registry
from connections.connectors.postgresql.equality import unbounded
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.sql.equality import TextForms
from tests.harness.bench import fetch

ONE, ONE_SHOWN, SEVERAL = TextForms
# a type, two texts of one value, and how many texts the connector says that equal values have
POSTGRESQL = [
    ("inet", "10.0.0.1/32", "10.0.0.1", ONE_SHOWN),
    ("cidr", "10/8", "10.0.0.0/8", ONE_SHOWN),
    ("macaddr", "08-00-2B-01-02-03", "08:00:2b:01:02:03", ONE_SHOWN),
    ("money", "1", "1.00", ONE_SHOWN),
    ("bit(4)", "1010", "xA", ONE_SHOWN),
    ("integer[]", "{1, 2}", "{1,2}", ONE_SHOWN),
    ("text[]", "{a}", '{"a"}', ONE_SHOWN),
    ("mood[]", "{ happy }", "{happy}", ONE_SHOWN),
    ("int4range", "[1,2]", "[1,3)", ONE_SHOWN),
    ("daterange", "(2026-01-01,2026-01-03)", "[2026-01-02,2026-01-03)", ONE_SHOWN),
    ("time with time zone", "12:00Z", "12:00:00+00", ONE_SHOWN),
    ("interval", "1 day", "24:00:00", SEVERAL),
    ("interval(0)", "1 day", "24:00:00", SEVERAL),
    ("numeric[]", "{1.0}", "{1.00}", SEVERAL),
    ("numrange", "[1.0,2)", "[1.00,2)", SEVERAL),
    ("double precision[]", "{0}", "{-0}", SEVERAL),
    ("interval[]", "{1 day}", "{24:00:00}", SEVERAL),
    ("character[]", "{a}", "{a }", SEVERAL),
    ("character(3)[]", '{"a"}', '{"a  "}', SEVERAL),
    ("pair", "(1,1.0)", "(1,1.00)", SEVERAL),
]
DUCKDB = [
    ("INTEGER[]", "[1, 2]", "[1,2]", ONE_SHOWN),
    ("TIME WITH TIME ZONE", "12:00:00+00", "12:00:00+00:00", ONE_SHOWN),
    ("INTERVAL", "1 day", "24:00:00", SEVERAL),
    ("DOUBLE[]", "[0.0]", "[-0.0]", SEVERAL),
    ("STRUCT(a INTERVAL)", "{'a': 1 day}", "{'a': 24:00:00}", SEVERAL),
]


@pytest.fixture
def moods(warehouse: ConnectionParameters) -> ConnectionParameters:
    session = registry.connector("postgresql").connect(warehouse)
    session.execute("CREATE TYPE mood AS ENUM ('happy', 'sad')")
    session.execute("CREATE TYPE pair AS (a integer, b numeric)")
    session.close()
    return warehouse


def spellings_of(parameters: ConnectionParameters, names: list[str]) -> dict[str, TextForms]:
    module = registry.type_equality(parameters.kind)
    assert module is not None
    session = registry.connector(parameters.kind).connect(parameters)
    try:
        return {name: equality.text_forms for name, equality in module.equality(session, names).items()}
    finally:
        session.close()


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", ["postgresql", "duckdb"])
def test_equal_values_have_as_many_texts_as_the_connector_says(
    kind: str, moods: ConnectionParameters, warehouse_of: Callable[[str], ConnectionParameters]
) -> None:
    cases = POSTGRESQL if kind == "postgresql" else DUCKDB
    parameters = warehouse_of(kind)
    spellings = spellings_of(parameters, [name for name, *_ in cases])
    for name, one, other, expected in cases:
        values = " , ".join("CAST('" + text.replace("'", "''") + f"' AS {name})" for text in (one, other))
        sql = f"SELECT a = b, CAST(a AS text), CAST(b AS text) FROM (SELECT {values}) AS v(a, b)"
        ((equal, first, second),) = fetch(parameters, sql)
        assert (name, equal, spellings[name]) == (name, True, expected)
        if expected is ONE_SHOWN:
            assert (name, first) == (name, second)


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("time with time zone", "12:00+00", "13:00+01"),
        ("integer[]", "{1}", "[0:0]={1}"),
        ("tsrange", "[2026-01-01,2026-01-02]", "[2026-01-01,2026-01-02)"),
        ("character varying[]", "{a}", '{"a "}'),
        ("bit varying", "1", "01"),
        ("macaddr8", "08:00:2b:ff:fe:01:02:03", "08:00:2b:01:02:03:00:00"),
    ],
)
def test_values_with_different_texts_are_different(
    moods: ConnectionParameters, name: str, one: str, other: str
) -> None:
    assert fetch(moods, f"SELECT '{one}'::{name} = '{other}'::{name}") == [(False,)]
    assert spellings_of(moods, [name]) == {name: ONE_SHOWN}


def test_an_enum_has_one_text_and_an_unknown_type_may_have_several(
    moods: ConnectionParameters,
) -> None:
    assert spellings_of(moods, ["mood", "public.pair", "pair[]", "citext"]) == {
        "mood": ONE,
        "public.pair": SEVERAL,
        "pair[]": SEVERAL,
    }
    for text in (" happy", "Happy", "happy "):
        with pytest.raises(Exception, match="mood"):
            fetch(moods, f"SELECT '{text}'::mood")


def test_an_enum_of_duckdb_has_one_text(warehouse_of: Callable[[str], ConnectionParameters]) -> None:
    names = ["ENUM('a', 'it''s')", "ENUM('a')[]"]
    assert list(spellings_of(warehouse_of("duckdb"), names).values()) == [ONE, SEVERAL]


@pytest.mark.parametrize(
    ("native", "wide"),
    [
        ("numeric(9,2)[]", "numeric[]"),
        ("interval day to second(3)", "interval"),
        ("time(0) with time zone", "time with time zone"),
        ("bit(3)", "bit varying"),
        ("character(3)[]", "bpchar[]"),
        ('"odd(3)"', '"odd(3)"'),
        ("citext", "citext"),
    ],
)
def test_unbounded_returns_the_type_without_its_limits(native: str, wide: str) -> None:
    assert unbounded(native) == wide
