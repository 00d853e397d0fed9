"""Keys that are equal in the destination but spelled differently are one row for a verification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from connections.sdk.errors import NotSupported
from connections.sdk.parameters import ConnectionParameters
from runs.engine.verify.verify import Options, VerificationResult, verify_module
from tests.harness.bench import Bench
from tests.harness.verification import counts, fast_pace, run_verification

pytestmark = pytest.mark.matrix

QUERY = "SELECT k AS k, v AS v FROM s"


@dataclass(frozen=True)
class KeyType:
    """A type of a key column, and two spellings of one of its values."""

    kind: str
    key: str
    source_key: str
    dest_key: str


KEY_TYPES = {
    "interval": KeyType("postgresql", "interval", "24:00:00", "1 day"),
    "accents": KeyType("duckdb", "varchar COLLATE NOACCENT", "cafe", "café"),
    "accents and case": KeyType("duckdb", "varchar COLLATE NOCASE.NOACCENT", "CAFE", "café"),
}


@pytest.fixture(params=["interval", *(pytest.param(name) for name in ("accents", "accents and case"))])
def key_type(request: pytest.FixtureRequest) -> KeyType:
    return KEY_TYPES[request.param]


@pytest.fixture
def target(key_type: KeyType, warehouse_of: Callable[[str], ConnectionParameters], erp: Any) -> Bench:
    """A source and a destination with two rows, of which one has its key spelled differently."""
    bench = Bench(erp, warehouse_of(key_type.kind))
    bench.at_source(
        "CREATE TABLE s (k text, v text)", f"INSERT INTO s VALUES ('{key_type.source_key}', 'a'), ('02:00:00', 'b')"
    )
    bench.at_destination(
        "CREATE SCHEMA IF NOT EXISTS sync",
        f"CREATE TABLE sync.t (k {key_type.key}, v varchar)",
        f"INSERT INTO sync.t VALUES ('{key_type.dest_key}', 'a'), ('02:00:00', 'b')",
    )
    return bench


def compare(bench: Bench, **changes: Any) -> VerificationResult:
    return run_verification(bench, QUERY, merge_key=("k",), **changes)


def test_a_key_in_another_spelling_is_one_different_row(target: Bench, key_type: KeyType) -> None:
    result = compare(target)
    assert counts(result) == (0, 0, 1)
    (value,) = result.comparison.different
    assert (value.key, value.column, value.source, value.destination) == (
        (key_type.source_key,),
        "k",
        key_type.source_key,
        key_type.dest_key,
    )
    assert "equal but spells differently: 1." in " ".join(result.warnings)


def test_missing_and_extra_rows_are_still_counted(target: Bench) -> None:
    target.at_source("INSERT INTO s VALUES ('03:00:00', 'new')")
    target.at_destination("INSERT INTO sync.t VALUES ('04:00:00', 'gone')")
    result = compare(target)
    assert counts(result) == (1, 1, 1)
    assert [key.key for key in result.comparison.missing] == [("03:00:00",)]
    assert [key.key for key in result.comparison.extra] == [("04:00:00",)]


def test_a_text_that_is_no_value_of_the_key_s_type_is_missing(target: Bench) -> None:
    target.at_source("INSERT INTO s VALUES ('never', 'no interval')")
    result = compare(target)
    assert counts(result) == (1, 0, 1)
    assert [key.key for key in result.comparison.missing] == [("never",)]


def test_keys_with_the_same_spelling_are_equal(target: Bench, key_type: KeyType) -> None:
    target.at_source(f"UPDATE s SET k = '{key_type.dest_key}' WHERE v = 'a'")
    assert counts(compare(target)) == (0, 0, 0)


def test_two_spellings_of_one_key_at_the_source_are_refused(target: Bench, key_type: KeyType) -> None:
    target.at_source(f"INSERT INTO s VALUES ('{key_type.dest_key}', 'a')")
    with pytest.raises(NotSupported, match="both at the source"):
        compare(target)


def test_keep_latest_with_two_spellings_of_one_key_is_refused(target: Bench, key_type: KeyType) -> None:
    target.at_source(f"INSERT INTO s VALUES ('{key_type.dest_key}', 'b')")
    with pytest.raises(NotSupported, match="which of the source's rows is the latest"):
        compare(target, watermark="v", keep_latest=True)


def test_a_sample_with_keys_in_several_spellings_is_refused(target: Bench) -> None:
    target.at_source(
        "INSERT INTO s WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 59)"
        " SELECT i || ':00:00', 'x' FROM n"
    )
    target.at_destination(*[f"INSERT INTO sync.t VALUES ('{hour}:00:00', 'y')" for hour in range(60, 99)])
    plan = target.plan(QUERY, merge_key=("k",))
    with pytest.raises(NotSupported, match="a sample can hold one spelling"):
        verify_module(plan, Options(sample=30, pace=fast_pace()))
