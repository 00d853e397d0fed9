"""Ranges grow and shrink until a statement takes as long as it should, whatever it costs without any row."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runs.engine.verify.pace import Pace

KEYS = 10_000_000


def statements(cost: Callable[[int], float]) -> list[float]:
    """Return the seconds of each statement of a comparison whose statement over a width costs so many."""
    pace, seconds, position = Pace(statement_seconds=20), list[float](), 0
    width = pace.first_width(KEYS)
    while position < KEYS and len(seconds) < 1000:
        seconds.append(cost(width))
        position += width
        width = pace.next_width(width, seconds=seconds[-1])
    return seconds


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01])
def test_a_statement_that_reads_the_whole_table_whatever_its_range_is_asked_few_times(share: float) -> None:
    assert len(statements(lambda width: 60 + share * width / 1000)) < 12


def test_rows_that_cost_the_same_are_read_in_statements_of_the_time_that_is_wanted() -> None:
    seconds = statements(lambda width: width / 10_000)
    assert max(seconds) <= 20.001
    assert len(seconds) < 60


def test_rows_that_cost_much_are_read_in_small_ranges() -> None:
    seconds = statements(lambda width: width / 1_000)
    # the first is a guess
    assert max(seconds[1:]) <= 20.001


def test_some_cost_of_each_statement_leaves_less_for_the_rows() -> None:
    seconds = statements(lambda width: 5 + width / 10_000)
    assert max(seconds) < 26
    assert len(seconds) < 80
