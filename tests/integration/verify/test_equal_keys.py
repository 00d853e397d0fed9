"""Keys that the destination calls equal and spells differently are one row for it, and for a verification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from connections.sdk.errors import NotSupported
from connections.sdk.parameters import ConnectionParameters
from runs.engine.verify.verify import Options, VerificationResult, verify
from tests.benches.bench import Bench
from tests.benches.verification import counts, quick, verified

QUERY = "SELECT k AS k, v AS v FROM s"


@dataclass(frozen=True)
class Loose:
    """A type of key, and two spellings of one of its values."""

    kind: str
    key: str
    mine: str
    theirs: str


LOOSE = {
    "interval": Loose("postgresql", "interval", "24:00:00", "1 day"),
    "accents": Loose("duckdb", "varchar COLLATE NOACCENT", "cafe", "café"),
    "accents and case": Loose("duckdb", "varchar COLLATE NOCASE.NOACCENT", "CAFE", "café"),
}


@pytest.fixture(
    params=["interval", *(pytest.param(name, marks=pytest.mark.matrix) for name in ("accents", "accents and case"))]
)
def loose(request: pytest.FixtureRequest) -> Loose:
    return LOOSE[request.param]


@pytest.fixture
def target(loose: Loose, warehouse_of: Callable[[str], ConnectionParameters], erp: Any) -> Bench:
    """One row whose key is spelled differently, one whose key is not; equal otherwise."""
    bench = Bench(erp, warehouse_of(loose.kind))
    bench.at_source("CREATE TABLE s (k text, v text)", f"INSERT INTO s VALUES ('{loose.mine}', 'a'), ('02:00:00', 'b')")
    bench.at_destination(
        "CREATE SCHEMA IF NOT EXISTS sync",
        f"CREATE TABLE sync.t (k {loose.key}, v varchar)",
        f"INSERT INTO sync.t VALUES ('{loose.theirs}', 'a'), ('02:00:00', 'b')",
    )
    return bench


def compared(bench: Bench, **changes: Any) -> VerificationResult:
    return verified(bench, QUERY, merge_key=("k",), **changes)


def test_another_spelling_is_a_different_row_and_not_a_missing_and_an_extra_one(target: Bench, loose: Loose) -> None:
    found = compared(target)
    assert counts(found) == (0, 0, 1)
    (value,) = found.outcome.different
    assert (value.key, value.column, value.source, value.destination) == ((loose.mine,), "k", loose.mine, loose.theirs)
    assert "equal but spells differently: 1." in " ".join(found.warnings)


def test_rows_that_are_missing_or_extra_stay_so(target: Bench) -> None:
    target.at_source("INSERT INTO s VALUES ('03:00:00', 'new')")
    target.at_destination("INSERT INTO sync.t VALUES ('04:00:00', 'gone')")
    found = compared(target)
    assert counts(found) == (1, 1, 1)
    assert [key.key for key in found.outcome.missing] == [("03:00:00",)]
    assert [key.key for key in found.outcome.extra] == [("04:00:00",)]


def test_a_text_that_is_no_such_key_is_missing(target: Bench) -> None:
    target.at_source("INSERT INTO s VALUES ('never', 'no interval')")
    found = compared(target)
    assert counts(found) == (1, 0, 1)
    assert [key.key for key in found.outcome.missing] == [("never",)]


def test_equal_rows_are_equal_without_asking(target: Bench, loose: Loose) -> None:
    target.at_source(f"UPDATE s SET k = '{loose.theirs}' WHERE v = 'a'")
    assert counts(compared(target)) == (0, 0, 0)


def test_both_spellings_at_the_source_are_refused(target: Bench, loose: Loose) -> None:
    target.at_source(f"INSERT INTO s VALUES ('{loose.theirs}', 'a')")
    with pytest.raises(NotSupported, match="both at the source"):
        compared(target)


@pytest.mark.matrix
def test_the_latest_of_several_spellings_is_not_guessed(target: Bench, loose: Loose) -> None:
    target.at_source(f"INSERT INTO s VALUES ('{loose.theirs}', 'b')")
    with pytest.raises(NotSupported, match="which of the source's rows is the latest"):
        compared(target, watermark="v", keep_latest=True)


def test_of_a_sample_they_are_not_guessed(target: Bench) -> None:
    target.at_source(
        "INSERT INTO s WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 59)"
        " SELECT i || ':00:00', 'x' FROM n"
    )
    target.at_destination(*[f"INSERT INTO sync.t VALUES ('{hour}:00:00', 'y')" for hour in range(60, 99)])
    plan = target.plan(QUERY, merge_key=("k",))
    with pytest.raises(NotSupported, match="a sample can hold one spelling"):
        verify(plan, Options(sample=30, pace=quick()))
