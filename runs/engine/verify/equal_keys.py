"""Keys that the destination calls equal though their texts differ: citext, collations that ignore case or accents.

Rows are paired by the bytes of their keys. Where the destination pairs them otherwise it is asked which of the keys
that seem to be missing it has, spelled differently: those rows are different, not one missing and one extra.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa

from connections.sdk.capabilities import Cap
from connections.sdk.errors import DataError, NotSupported, QueryInvalid
from connections.sdk.protocols import Session
from connections.sdk.schema import Column
from connections.sdk.sql.types import DataType, Kind
from runs.engine.connecting import open_session
from runs.engine.plan import Plan
from runs.engine.publish.staging import dialect_of
from runs.engine.verify.canonical import canonical, folded
from runs.engine.verify.differences import Differences, DifferingKey
from runs.engine.verify.different_values import DifferentValue
from runs.engine.verify.outcome import EXAMPLES, Outcome
from runs.engine.verify.pace import Pace
from runs.engine.verify.side import Compared

Key = tuple[str | None, ...]
# keys that are asked for at once, and altogether
_AT_ONCE, _MOST = 500, 10_000
# statements that fail because of a text that is no value of the column's type
_MOST_FAILURES = 200
_UNCAST = frozenset({Kind.BINARY, Kind.UNKNOWN})
_FLOATS = frozenset({Kind.DOUBLE, Kind.REAL})
_TEXT = DataType(kind=Kind.TEXT)


class EqualKeys:
    """Asks the destination; ``is_needed`` where its keys can be equal without being the same.

    ``loose`` are the columns where they can, as `loose_columns` returns them. ``gave_up`` says that so many texts were
    no values of their columns' types that some keys were not asked for.
    """

    def __init__(self, plan: Plan, compared: Compared, *, loose: Mapping[str, str], pace: Pace) -> None:
        self._plan, self._compared, self._loose, self._pace = plan, compared, loose, pace
        self._columns = compared.key_columns
        self.is_needed = bool(compared.key) and bool(loose)
        self.gave_up = False
        self._failures = 0

    def found(self, keys: Sequence[Key]) -> list[tuple[Key, Key]]:
        """Return each key that the destination has in another spelling, with that spelling. Keys hold no NULL.

        Raises what the destination raises, unless it is about a text that is no value of the column's type.
        """
        if any(column.data_type.kind in _UNCAST for column in self._columns):
            raise self.refusal("a part of the key has no text to ask for it by")
        with open_session(self._plan.destination, Cap.READ) as session:
            parts = [keys[first : first + _AT_ONCE] for first in range(0, len(keys), _AT_ONCE)]
            return [pair for part in parts for pair in self._among(part, session)]

    def form(self, key: Key) -> Key:
        """Return a key in the one form that it has whichever side wrote it: `1` and `1.0` are one double."""
        return tuple(map(self._form, key, self._columns))

    def refusal(self, why: str) -> NotSupported:
        names = ", ".join(
            f"{column.dest_name} ({_of(column)})" for column in self._columns if column.dest_name in self._loose
        )
        return NotSupported(
            f"{self._plan.module} cannot be compared exactly: the destination calls values of its key {names} equal"
            f" that are spelled differently, and {why}.",
            hint="Make the keys the same at both sides, for example by lower() in the source query, or run "
            f"manage.py runmodule {self._plan.module} --full-refresh and verify after it.",
        )

    def _among(self, keys: Sequence[Key], session: Session) -> list[tuple[Key, Key]]:
        if self._failures >= _MOST_FAILURES:
            self.gave_up = True
            return []
        self._pace.wait()
        try:
            rows = session.fetch(self._query(keys))
        except (DataError, QueryInvalid):
            if not self._failures:
                # without any text: what fails then is wrong with the statement itself
                self._pace.wait()
                session.fetch(self._query([(None,) * len(self._columns)]))
            self._failures += 1
            # a text that is no value of the column's type equals none
            half = len(keys) // 2
            return [*self._among(keys[:half], session), *self._among(keys[half:], session)] if half else []
        spelled = ((keys[int(row[0])], tuple(None if text is None else str(text) for text in row[1:])) for row in rows)
        return [(mine, theirs) for mine, theirs in spelled if self._is_respelled(mine, theirs)]

    def _is_respelled(self, mine: Key, theirs: Key) -> bool:
        """Whether the keys differ, and only where the destination is loose: a cast may also cut or round a text."""
        pairs = zip(self.form(mine), self.form(theirs), self._columns, strict=True)
        different = [column.dest_name for one, other, column in pairs if one != other]
        return bool(different) and self._loose.keys() >= set(different)

    def _form(self, text: str | None, column: Column) -> str | None:
        if text is None:
            return None
        if column.data_type.kind in _FLOATS:
            with suppress(ValueError):
                return float(text).hex()
        if column.data_type.kind is Kind.TIMESTAMPTZ:
            # each side writes it in the time zone of its session
            with suppress(ValueError, OverflowError):
                return dt.datetime.fromisoformat(text).astimezone(dt.UTC).isoformat()
        form = canonical(pa.array([text]), column.data_type)
        if column.collation:
            form = folded(form, column.collation, ascii_only=self._compared.ascii_only)
        return str(form[0])

    def _query(self, keys: Sequence[Key]) -> str:
        dialect = dialect_of(self._plan)
        names = [f"k{number}" for number in range(len(self._columns))]
        rows = ",\n".join(
            f"({number}, {', '.join(map(self._value, key, self._columns))})" for number, key in enumerate(keys)
        )
        own = [f"d.{dialect.quote(column.dest_name)}" for column in self._columns]
        texts = ", ".join(f"CAST({name} AS text)" for name in own)
        same = " AND ".join(
            f"{mine}{f' COLLATE {column.collation}' if column.collation else ''} = m.{name}"
            for mine, name, column in zip(own, names, self._columns, strict=True)
        )
        table = dialect.qualified(self._plan.dest_table)
        return (
            f"SELECT m.n, {texts}\nFROM (VALUES {rows}) AS m(n, {', '.join(names)})\nJOIN {table} AS d ON {same}"
            "\nORDER BY m.n"
        )

    def _value(self, text: str | None, column: Column) -> str:
        value = "NULL" if text is None else dialect_of(self._plan).literal(text, _TEXT)
        if column.data_type.kind is Kind.TEXT:
            # not to the column's length, which would cut it
            return f"CAST({value} AS {'bpchar' if column.data_type.fixed else 'text'})"
        return f"CAST({value} AS {self._loose.get(column.dest_name, column.dest_type)})"


def pair(
    differences: Differences, equal: EqualKeys, outcome: Outcome, compared: Compared, *, is_hash_sample: bool
) -> None:
    """Count rows as different that seem to be one missing and one extra, and are one for the destination.

    Raises NotSupported where that cannot be told.
    """
    counts = outcome.counts
    if is_hash_sample and (counts.missing or counts.extra):
        raise equal.refusal("a sample can hold one spelling of a key without the other")
    if not counts.missing:
        return
    missing = differences.keys("missing", limit=_MOST + 1)
    extra = differences.keys("extra", limit=_MOST + 1)
    if max(len(missing), len(extra)) > _MOST:
        # without an extra row none of them is there in another spelling, unless extra rows are not counted
        outcome.unpaired = bool(counts.extra) or compared.partial
        return
    pairs = _paired(equal, missing, extra, compared)
    outcome.unpaired = equal.gave_up and (bool(counts.extra) or compared.partial)
    respelled, gone = set(pairs), set(pairs.values())
    number = len(pairs)
    outcome.counts = replace(
        counts,
        missing=counts.missing - number,
        extra=counts.extra - len(gone & {key.key for key in extra}),
        different=counts.different + number,
    )
    outcome.respelled = number
    outcome.missing = [key for key in missing if key.key not in respelled][:EXAMPLES]
    outcome.extra = [key for key in extra if key.key not in gone][:EXAMPLES]
    shown = [_example(mine, theirs, compared) for mine, theirs in list(pairs.items())[:EXAMPLES]]
    outcome.different = [*outcome.different, *shown][: max(EXAMPLES, len(outcome.different))]


def _paired(
    equal: EqualKeys, missing: Sequence[DifferingKey], extra: Sequence[DifferingKey], compared: Compared
) -> dict[Key, Key]:
    """Return the destination's spelling of each missing key that it has."""
    left = {equal.form(key.key): key.key for key in extra}
    pairs: dict[Key, Key] = {}
    taken: dict[Key, Key] = {}
    for mine, written in equal.found([key.key for key in missing if None not in key.key]):
        if compared.one_per_key:
            raise equal.refusal(f"which of the source's rows is the latest of {_shown(mine)} is decided by its bytes")
        if mine in pairs:
            continue
        form = equal.form(written)
        if other := taken.get(form):
            raise equal.refusal(f"{_shown(other)} and {_shown(mine)} are both at the source")
        theirs = left.pop(form, written)
        if theirs is written:
            if compared.bounded:
                # a row that was not compared, as one with the same spelling might be
                continue
            if not compared.partial:
                raise equal.refusal(f"{_shown(mine)} and {_shown(written)} are both at the source")
        pairs[mine], taken[form] = theirs, mine
    return pairs


def _example(mine: Key, theirs: Key, compared: Compared) -> DifferentValue:
    position = next(number for number, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)
    name = compared.key_columns[position].dest_name
    return DifferentValue(key=mine, column=name, source=mine[position], destination=theirs[position])


def _shown(key: Key) -> str:
    return ", ".join(f"“{text}”" for text in key)


def _of(column: Column) -> str:
    return f"COLLATE {column.collation}" if column.collation else column.dest_type
