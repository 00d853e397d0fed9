"""Planning of raw copies, in which binary COPY data is passed unchanged between two PostgreSQL servers.

The receiving server silently rounds and truncates values to the precision or length of a column, so only types with the
same or a greater one are accepted. What the columns do not tell is asked by `described_types`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from connections.sdk.raw_copy import NotRaw
from connections.sdk.records import dataclass
from connections.sdk.schema import Column

_SHAPE = re.compile(r"([^()]+?)\s*(?:\((\d+)(?:,(-?\d+))?\))?( with(?:out)? time zone)?")
# types whose binary representation is their text
_TEXT = frozenset({"text", "character varying", "character", "bpchar", "name", "citext", "json", "xml", "unknown"})
_WIDER = {
    "smallint": ("integer", "bigint", "numeric"),
    "integer": ("bigint", "numeric"),
    "bigint": ("numeric",),
    "real": ("double precision",),
    "date": ("timestamp without time zone",),
    "json": ("jsonb",),
}
# the OIDs of types with the same binary representation on all servers, by their names in the catalogue; `character`
# without a length is not spelled so there
_BUILT_IN = {
    "bigint": 20,
    "boolean": 16,
    "bytea": 17,
    "character varying": 1043,
    "date": 1082,
    "double precision": 701,
    "integer": 23,
    "interval": 1186,
    "json": 114,
    "jsonb": 3802,
    "numeric": 1700,
    "real": 700,
    "smallint": 21,
    "text": 25,
    "time without time zone": 1083,
    "timestamp with time zone": 1184,
    "timestamp without time zone": 1114,
    "uuid": 2950,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPlan:
    """The casts of a raw copy by position, "" for none. Without casts the user's query is sent unchanged.

    ``oids`` are the types that the query's columns must have when they are copied; None if they were just described.
    """

    casts: tuple[str, ...]
    oids: tuple[int, ...] | None = None

    def query(self, query: str) -> str:
        """Return ``query`` with the casts."""
        # on separate lines, so that a comment at the end of the query does not comment out the bracket
        if not any(self.casts):
            return f"\n{query}\n"
        names = [f"c{position}" for position in range(len(self.casts))]
        values = [(cast or "{}").format(f"q.{name}") for cast, name in zip(self.casts, names, strict=True)]
        return f"\nSELECT {', '.join(values)} FROM (\n{query}\n) AS q({', '.join(names)})\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Types:
    """The types of one side's columns in order, and the names of those with the same binary representation everywhere.

    ``oids`` is None if they were described by the server.
    """

    natives: tuple[str, ...]
    portable: frozenset[str]
    oids: tuple[int, ...] | None = None


def known_types(columns: Sequence[Column]) -> tuple[Types | None, Types | None]:
    """Return the types of source and destination as far as they follow from the columns, without a session.

    None means that the system has to be asked: about types that are not built in and, because COPY would silently round
    a value to a size, about those of the source if the destination has a column with one.
    """
    destination = _built_in([column.dest_type for column in columns])
    if destination is None or any("(" in native for native in destination.natives):
        return None, destination
    return _built_in([column.source_type for column in columns]), destination


def compare(source: Types, destination: Types, columns: Sequence[Column], *, trim: bool) -> RawPlan | NotRaw:
    """Return the casts needed between the types of both sides, or why a raw copy is impossible."""
    portable = source.portable & destination.portable
    casts: list[str] = []
    for have, want, column in zip(source.natives, destination.natives, columns, strict=True):
        cast = _cast(have, want, portable=portable, trim=trim)
        if cast is None:
            types = f"{have} in the source and {want} in the destination"
            return NotRaw(why=f"column “{column.dest_name}” is {types}")
        casts.append(cast)
    return RawPlan(casts=tuple(casts), oids=source.oids)


def _built_in(natives: Sequence[str]) -> Types | None:
    names = [base_name(native) for native in natives]
    if not all(name in _BUILT_IN for name in names):
        return None
    return Types(natives=tuple(natives), portable=frozenset(names), oids=tuple(_BUILT_IN[name] for name in names))


def _parts(native: str) -> tuple[str, int | None, int | None]:
    """Return the name of a type and its two numeric arguments."""
    match = _SHAPE.fullmatch(native)
    if match is None:
        return native, None, None
    name = match[1] + (match[4] or "")
    return name, int(match[2]) if match[2] else None, int(match[3]) if match[3] else None


def base_name(native: str) -> str:
    """Return the name of a type without its length, precision or scale."""
    return _parts(native)[0]


def _cast(have: str, want: str, *, portable: frozenset[str], trim: bool) -> str | None:
    """Return the cast that a column needs ("" for none), None when no cast is guaranteed to be exact."""
    (old, *old_size), (new, *new_size) = _parts(have), _parts(want)
    is_text = old in _TEXT
    if trim and is_text:
        return "rtrim({}::text)" if new in ("text", "character varying") and new_size[0] is None else None
    if (old == new and old in portable and _contains(new, old_size, new_size)) or (
        is_text and new in ("text", "character varying") and new_size[0] is None
    ):
        return ""
    if new in _WIDER.get(old, ()) and new_size[0] is None:
        return "{}::" + new
    return "{}::text" if new in ("text", "character varying") and new_size[0] is None else None


def _contains(name: str, old: list[int | None], new: list[int | None]) -> bool:
    """Return whether every value of ``name(old)`` is unchanged as a value of ``name(new)``."""
    if new[0] is None or old == new:
        return True
    if old[0] is None or name in ("character", "bit"):
        return False
    if name == "numeric":
        old_scale, new_scale = old[1] or 0, new[1] or 0
        return old_scale <= new_scale and old[0] - old_scale <= new[0] - new_scale
    return old[0] <= new[0]
