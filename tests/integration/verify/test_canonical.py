"""Numbers and documents are compared by their values, however each side writes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.bench import Bench
from tests.harness.verification import counts, run_verification

pytestmark = [pytest.mark.matrix, pytest.mark.usefixtures("transfer_in_process")]

QUERY = "SELECT id AS id, v AS v FROM s"
# number in SQLite -> the same number as PostgreSQL writes it
_NUMBERS = {
    ".5": "0.5",
    "-.5": "-0.5",
    "5.": "5",
    "007": "7",
    " 1.50 ": "1.5",
    "+1.5": "1.5",
    "1e3": "1000",
    "1.5E-3": "0.0015",
    "-0": "0",
    "-0.00": "0",
    "00": "0",
    "nan": "NaN",
    "inf": "Infinity",
    "-Infinity": "-Infinity",
}
_DOCUMENTS = [
    "-0",
    "[-0.0, 1.50, 1e2]",
    '{"b": {"d": 1, "c": 2}, "a": 1}',
    '"\\ud83d\\ude00"',
    '{"a": 1, "a": 2}',
    "[" * 1500 + "]" * 1500,
    "1e400",
]


def _numbers(bench: Bench, written: dict[str, str]) -> None:
    rows = list(enumerate(written.items()))
    bench.at_source(
        "CREATE TABLE s (id INTEGER, v TEXT)", *(f"INSERT INTO s VALUES ({n}, '{text}')" for n, (text, _) in rows)
    )
    bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id integer, v numeric)",
        *(f"INSERT INTO sync.t VALUES ({n}, '{text}')" for n, (_, text) in rows),
    )


def test_a_number_is_equal_in_any_notation(bench: Bench) -> None:
    _numbers(bench, _NUMBERS)
    assert counts(run_verification(bench, QUERY)) == (0, 0, 0)


def test_different_numbers_are_different(bench: Bench) -> None:
    _numbers(bench, {".5": "0.05", "007": "70", "1e3": "100", "-0.5": "0.5", "inf": "NaN", "1.5": "1.50001"})
    assert counts(run_verification(bench, QUERY)) == (0, 0, 6)


def _documents(bench: Bench, native: str, documents: list[tuple[str, str]]) -> None:
    bench.at_source(
        "CREATE TABLE s (id INTEGER, v TEXT)",
        *(f"INSERT INTO s VALUES ({number}, '{text}')" for number, (text, _) in enumerate(documents)),
    )
    bench.at_destination(
        "CREATE SCHEMA sync",
        f"CREATE TABLE sync.t (id integer, v {native})",
        *(f"INSERT INTO sync.t VALUES ({number}, '{text}')" for number, (_, text) in enumerate(documents)),
    )


def test_a_document_is_equal_as_jsonb_writes_it(bench: Bench) -> None:
    _documents(bench, "jsonb", [(text, text) for text in _DOCUMENTS])
    assert counts(run_verification(bench, QUERY)) == (0, 0, 0)


def test_documents_with_lone_surrogates_and_huge_exponents_are_compared(bench: Bench) -> None:
    _documents(
        bench,
        "json",
        [
            ('"\\ud800"', '"\\ud800"'),
            ('"\\ud800"', '"\\ud801"'),
            ("1e999999999", "10e999999998"),
            ("1e999999999", "1e999999998"),
        ],
    )
    assert counts(run_verification(bench, QUERY)) == (0, 0, 2)


@pytest.mark.parametrize("native", [pytest.param("real"), "double precision"])
def test_a_negative_zero_is_equal_to_the_zero_that_sqlite_stores(
    between: Callable[[str, str], Bench], native: str
) -> None:
    pair = between("postgresql", "sqlite")
    pair.at_source(f"CREATE TABLE s (id integer, v {native})", "INSERT INTO s VALUES (1, '-0'), (3, -1.5)")
    pair.run(pair.plan(QUERY))
    assert counts(run_verification(pair, QUERY)) == (0, 0, 0)
    pair.at_destination('UPDATE "sync.t" SET v = 1.5 WHERE id = 3')
    assert counts(run_verification(pair, QUERY)) == (0, 0, 1)
