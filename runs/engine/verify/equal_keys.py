"""Matches keys that the destination considers equal though their texts differ: citext, case-insensitive collations.

The comparison matches rows by the bytes of their keys. For such columns, the destination is then queried for the keys
that seem to be missing: a row whose key it has in another spelling is different, not one missing and one extra row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import DataError, NotSupported, QueryInvalid
from connections.sdk.protocols import Session
from connections.sdk.schema import Column
from connections.sdk.types import DataType, Kind
from runs.engine.plan import Plan
from runs.engine.sessions import open_session
from runs.engine.verify.canonical import canonical_values, folded
from runs.engine.verify.differences import Differences, DifferingKey
from runs.engine.verify.pace import Pace
from runs.engine.verify.result import EXAMPLES, ComparisonResult, DifferentValue
from runs.engine.verify.side import ComparisonSpec

Key = tuple[str | None, ...]
# keys in one query, and in all
_BATCH, _MAX_KEYS = 500, 10_000
# queries that may fail because of a text that is not a value of the column's type
_MAX_FAILURES = 200
_UNCAST = frozenset({Kind.BINARY, Kind.UNKNOWN})
_FLOATS = frozenset({Kind.DOUBLE, Kind.REAL})
_TEXT = DataType(kind=Kind.TEXT)


class KeyMatcher:
    """Queries the destination for keys in other spellings; ``is_needed`` if it can have any.

    ``inexact`` are the columns in which keys can have several spellings, as `inexact_key_columns` returns them.
    ``is_incomplete`` is set if keys were skipped after too many queries had failed because of invalid values.
    """

    def __init__(self, plan: Plan, spec: ComparisonSpec, *, inexact: Mapping[str, str], pace: Pace) -> None:
        self._plan, self._spec, self._inexact, self._pace = plan, spec, inexact, pace
        self._columns = spec.key_columns
        self._dialect = registry.dialect_for(plan.destination)
        self.is_needed = bool(spec.key) and bool(inexact)
        self.is_incomplete = False
        self._failures = 0

    def respelled(self, keys: Sequence[Key]) -> list[tuple[Key, Key]]:
        """Return each key that the destination has in another spelling, with that spelling. Keys must not contain NULL.

        Raises NotSupported if a column cannot be queried by text, and errors of the destination other than those about
        a text that is not a value of the column's type.
        """
        if any(column.data_type.kind in _UNCAST for column in self._columns):
            raise self.refusal("a column of the key cannot be queried by text")
        with open_session(self._plan.destination, Cap.READ) as session:
            parts = [keys[first : first + _BATCH] for first in range(0, len(keys), _BATCH)]
            return [pair for part in parts for pair in self._respelled_in(part, session)]

    def form(self, key: Key) -> Key:
        """Return the canonical form of a key, whichever side wrote it: `1` and `1.0` are the same double."""
        return tuple(map(self._form, key, self._columns))

    def refusal(self, why: str) -> NotSupported:
        """Return the error that this module's keys cannot be compared, with the reason."""
        names = ", ".join(
            f"{column.dest_name} ({_type_of(column)})" for column in self._columns if column.dest_name in self._inexact
        )
        return NotSupported(
            f"{self._plan.module} cannot be compared exactly: the destination considers values of its key {names} equal"
            f" that are spelled differently, and {why}.",
            hint="Make the keys the same on both sides, for example with lower() in the source query, or run "
            f"manage.py runmodule {self._plan.module} --full-refresh and verify after it.",
        )

    def _respelled_in(self, keys: Sequence[Key], session: Session) -> list[tuple[Key, Key]]:
        if self._failures >= _MAX_FAILURES:
            self.is_incomplete = True
            return []
        self._pace.wait()
        try:
            rows = session.fetch(self._query(keys))
        except (DataError, QueryInvalid):
            if not self._failures:
                # without any text, to see whether the error is in the query itself
                self._pace.wait()
                session.fetch(self._query([(None,) * len(self._columns)]))
            self._failures += 1
            # narrow down to the key with the invalid value, which equals none of the destination
            half = len(keys) // 2
            return (
                [*self._respelled_in(keys[:half], session), *self._respelled_in(keys[half:], session)] if half else []
            )
        spelled = ((keys[int(row[0])], tuple(None if text is None else str(text) for text in row[1:])) for row in rows)
        return [(source, dest) for source, dest in spelled if self._is_respelled(source, dest)]

    def _is_respelled(self, source: Key, dest: Key) -> bool:
        """Return whether the keys differ only in inexact columns; in others a cast may have truncated or rounded."""
        pairs = zip(self.form(source), self.form(dest), self._columns, strict=True)
        different = [column.dest_name for one, other, column in pairs if one != other]
        return bool(different) and self._inexact.keys() >= set(different)

    def _form(self, text: str | None, column: Column) -> str | None:
        if text is None:
            return None
        if column.data_type.kind in _FLOATS:
            with suppress(ValueError):
                return float(text).hex()
        if column.data_type.kind is Kind.TIMESTAMPTZ:
            # each side writes it in its session's time zone
            with suppress(ValueError, OverflowError):
                return dt.datetime.fromisoformat(text).astimezone(dt.UTC).isoformat()
        form = canonical_values(pa.array([text]), column.data_type)
        if column.collation:
            form = folded(form, column.collation, ascii_only=self._spec.ascii_only)
        return str(form[0])

    def _query(self, keys: Sequence[Key]) -> str:
        dialect = self._dialect
        names = [f"k{number}" for number in range(len(self._columns))]
        rows = ",\n".join(
            f"({number}, {', '.join(map(self._value, key, self._columns))})" for number, key in enumerate(keys)
        )
        own = [f"d.{dialect.quote(column.dest_name)}" for column in self._columns]
        texts = ", ".join(f"CAST({name} AS text)" for name in own)
        same = " AND ".join(
            f"{dest}{f' COLLATE {column.collation}' if column.collation else ''} = m.{name}"
            for dest, name, column in zip(own, names, self._columns, strict=True)
        )
        table = dialect.qualified(self._plan.dest_table)
        return (
            f"SELECT m.n, {texts}\nFROM (VALUES {rows}) AS m(n, {', '.join(names)})\nJOIN {table} AS d ON {same}"
            "\nORDER BY m.n"
        )

    def _value(self, text: str | None, column: Column) -> str:
        value = "NULL" if text is None else self._dialect.literal(text, _TEXT)
        if column.data_type.kind is Kind.TEXT:
            # without the column's length, which would truncate it
            return f"CAST({value} AS {'bpchar' if column.data_type.fixed else 'text'})"
        return f"CAST({value} AS {self._inexact.get(column.dest_name, column.dest_type)})"


def pair_respelled(
    differences: Differences,
    equal: KeyMatcher,
    result: ComparisonResult,
    spec: ComparisonSpec,
    *,
    is_hash_sample: bool,
) -> None:
    """Pair missing with extra rows whose keys the destination considers equal, and count each pair as different.

    Updates ``result``. Raises NotSupported if the pairs are not unique.
    """
    counts = result.counts
    if is_hash_sample and (counts.missing or counts.extra):
        raise equal.refusal("a sample can hold one spelling of a key without the other")
    if not counts.missing:
        return
    missing = differences.keys("missing", limit=_MAX_KEYS + 1)
    extra = differences.keys("extra", limit=_MAX_KEYS + 1)
    if max(len(missing), len(extra)) > _MAX_KEYS:
        # without extra rows no key exists in another spelling, unless extra rows are not counted
        result.unpaired = bool(counts.extra) or spec.partial
        return
    pairs = _paired(equal, missing, extra, spec)
    result.unpaired = equal.is_incomplete and (bool(counts.extra) or spec.partial)
    paired_missing, paired_extra = set(pairs), set(pairs.values())
    number = len(pairs)
    result.counts = replace(
        counts,
        missing=counts.missing - number,
        extra=counts.extra - len(paired_extra & {key.key for key in extra}),
        different=counts.different + number,
    )
    result.respelled = number
    result.missing = [key for key in missing if key.key not in paired_missing][:EXAMPLES]
    result.extra = [key for key in extra if key.key not in paired_extra][:EXAMPLES]
    examples = [_example(source, dest, spec) for source, dest in list(pairs.items())[:EXAMPLES]]
    result.different = [*result.different, *examples][: max(EXAMPLES, len(result.different))]


def _paired(
    equal: KeyMatcher, missing: Sequence[DifferingKey], extra: Sequence[DifferingKey], spec: ComparisonSpec
) -> dict[Key, Key]:
    """Return the destination's spelling of each missing key that it has in another one."""
    unpaired_extra = {equal.form(key.key): key.key for key in extra}
    pairs: dict[Key, Key] = {}
    source_by_form: dict[Key, Key] = {}
    for source, written in equal.respelled([key.key for key in missing if None not in key.key]):
        if spec.one_per_key:
            raise equal.refusal(f"which of the source's rows is the latest of {_shown(source)} is decided by its bytes")
        if source in pairs:
            continue
        form = equal.form(written)
        if other := source_by_form.get(form):
            raise equal.refusal(f"{_shown(other)} and {_shown(source)} are both at the source")
        dest = unpaired_extra.pop(form, written)
        if dest is written:
            if spec.since_only:
                # the row was not compared, because its watermark is below --since
                continue
            if not spec.partial:
                raise equal.refusal(f"{_shown(source)} and {_shown(written)} are both at the source")
        pairs[source], source_by_form[form] = dest, source
    return pairs


def _example(source: Key, dest: Key, spec: ComparisonSpec) -> DifferentValue:
    position = next(number for number, (a, b) in enumerate(zip(source, dest, strict=True)) if a != b)
    name = spec.key_columns[position].dest_name
    return DifferentValue(key=source, column=name, source=source[position], destination=dest[position])


def _shown(key: Key) -> str:
    return ", ".join(f"“{text}”" for text in key)


def _type_of(column: Column) -> str:
    return f"COLLATE {column.collation}" if column.collation else column.dest_type
