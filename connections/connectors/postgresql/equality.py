"""Native types of PostgreSQL whose equal values can have different texts; implements `TypeEquality`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from connections.sdk.protocols import Session
from connections.sdk.sql.equality import Equality, TextForms

_BOUNDS = re.compile(r"\s*\(\d+(,\s*-?\d+)?\)")
# types that have the length one if none is given
_UNBOUNDED = {"bit": "bit varying", "character": "bpchar"}
# types (by pg_type.typname) whose equal values always have the same output. Not numeric (1.0, 1.00), float4 and float8
# (0, -0), bpchar (blanks), interval, and ranges of numeric
_ONE_SHOWN = frozenset(
    {
        "bool",
        "int2",
        "int4",
        "int8",
        "oid",
        "xid",
        "xid8",
        "cid",
        "tid",
        "money",
        "text",
        "varchar",
        "name",
        "char",
        "uuid",
        "bytea",
        "date",
        "time",
        "timetz",
        "timestamp",
        "timestamptz",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "bit",
        "varbit",
        "pg_lsn",
        "tsvector",
        "int4range",
        "int8range",
        "daterange",
        "tsrange",
        "tstzrange",
        "int4multirange",
        "int8multirange",
        "datemultirange",
        "tsmultirange",
        "tstzmultirange",
    }
)


def equality(session: Session, natives: Sequence[str]) -> Mapping[str, Equality]:
    """Return the equality of the types; types of extensions, composite types and domains are SEVERAL."""
    query = (Path(__file__).with_name("queries") / "type_elements.sql").read_text()
    # the query has no row for a type that does not exist
    return {
        name: Equality(
            text_forms=_text_forms(kind, element_kind, element, is_array=is_array, built_in=built_in),
            unbounded=unbounded(name),
        )
        for name, kind, is_array, element_kind, element, built_in in session.fetch(query, (list(natives),))
    }


def unbounded(native: str) -> str:
    """Return the type without length and precision: ``numeric[]`` for ``numeric(9,2)[]``."""
    if '"' in native:
        return native
    name = _BOUNDS.sub("", native.strip())
    element = name.removesuffix("[]")
    wide = "interval" if element.startswith("interval") else _UNBOUNDED.get(element, element)
    return wide + name[len(element) :]


def _text_forms(kind: str, element_kind: str, element: str, *, is_array: bool, built_in: bool) -> TextForms:
    if kind == "e":
        return TextForms.ONE
    if (is_array and element_kind == "e") or (built_in and element in _ONE_SHOWN):
        return TextForms.ONE_SHOWN
    return TextForms.SEVERAL
