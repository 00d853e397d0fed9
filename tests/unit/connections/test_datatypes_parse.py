"""Data types of each system are parsed, and rendered for destinations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connections import registry
from connections.sdk.types import DataType, Kind
from tests.unit.connections.native_types import TABLES, K


@pytest.mark.parametrize("kind", TABLES)
def test_native_types_are_parsed(kind: str) -> None:
    for native, expected in TABLES[kind].items():
        data_type = registry.datatypes(kind).parse(native)
        assert data_type.native == native
        if not isinstance(expected, tuple):
            assert (native, data_type.kind, data_type.fixed) == (native, expected, False)
        elif expected[0] is K.DECIMAL:
            assert (native, data_type.kind, data_type.precision, data_type.scale) == (native, *expected)
        else:
            assert (native, data_type.kind, data_type.length, data_type.fixed) == (native, *expected)


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("native", ["", "   ", "(", "char(", "a(b)(c)", "'", "no such type", "(10)"])
def test_an_invalid_type_is_unknown(kind: str, native: str) -> None:
    assert registry.datatypes(kind).parse(native) == DataType(kind=K.UNKNOWN, native=native)


@pytest.mark.parametrize("kind", [kind for kind in TABLES if kind != "clickhouse"])
def test_a_decimal_with_an_invalid_precision_is_parsed_as_one_without(kind: str) -> None:
    parse = registry.datatypes(kind).parse
    assert parse("decimal(x)") == replace(parse("decimal"), native="decimal(x)")
    assert parse("decimal(x)").kind is K.DECIMAL


# types that are rendered as a wider one that has all their values
WIDER = {"oracle": {K.SMALLINT, K.INTEGER, K.BIGINT, K.DATE}, "sqlite": {K.REAL}}


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_of_type_is_rendered_exactly_or_with_a_warning(kind: str) -> None:
    datatypes = registry.datatypes(kind)
    rendered = {type_kind: datatypes.render(DataType(kind=type_kind, native="odd")) for type_kind in Kind}
    assert all(result.native for result in rendered.values())
    assert rendered[K.NATIVE].warning and rendered[K.UNKNOWN].warning
    exact = {type_kind: datatypes.parse(result.native) for type_kind, result in rendered.items() if not result.warning}
    assert {type_kind for type_kind, parsed in exact.items() if parsed.kind is not type_kind} == WIDER.get(kind, set())


# Oracle's integers are decimals: each is parsed as the next wider integer type
WIDENED_BY_ORACLE = {
    "NUMBER(1,0)": "NUMBER(5,0)",
    "NUMBER(5,0)": "NUMBER(10,0)",
    "NUMBER(10,0)": "NUMBER(19,0)",
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_rendered_type_that_is_parsed_is_rendered_the_same(kind: str) -> None:
    datatypes = registry.datatypes(kind)
    widened = WIDENED_BY_ORACLE if kind == "oracle" else {}
    for native in TABLES[kind]:
        first = datatypes.render(datatypes.parse(native))
        second = datatypes.render(datatypes.parse(first.native))
        assert second.native == widened.get(first.native, first.native), native


@pytest.mark.parametrize(
    ("kind", "limit"), [("sqlserver", 38), ("mysql", 65), ("oracle", 38), ("clickhouse", 76), ("as400", 63)]
)
def test_a_decimal_that_is_too_wide_for_the_system_is_rendered_as_another_type_with_a_warning(
    kind: str, limit: int
) -> None:
    render = registry.datatypes(kind).render
    fits = render(DataType(kind=K.DECIMAL, precision=limit, scale=10))
    assert f"{limit}" in fits.native and not fits.warning
    wide = render(DataType(kind=K.DECIMAL, precision=limit + 1, scale=10))
    assert wide.warning and f"{limit}" not in wide.native
    assert render(DataType(kind=K.DECIMAL)).warning


def test_text_is_rendered_with_its_length_up_to_the_maximum_of_the_system() -> None:
    for kind, expected in {
        "sqlserver": ("nvarchar(40)", "nvarchar(max)"),
        "mysql": ("varchar(40)", "longtext"),
        "oracle": ("VARCHAR2(40 CHAR)", "CLOB"),
        "as400": ("VARCHAR(40)", "CLOB"),
    }.items():
        render = registry.datatypes(kind).render
        types = tuple(render(DataType(kind=K.TEXT, length=length)).native for length in (40, 100_000))
        assert types == expected
