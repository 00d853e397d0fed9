"""The ranges of a comparison grow and shrink until each statement takes about the intended time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runs.engine.verify.pace import Pace

KEYS = 10_000_000


def statements(cost: Callable[[int], float]) -> list[float]:
    """Return the seconds of each statement of a comparison; ``cost`` returns those of a statement by its width."""
    pace, seconds, position = Pace(statement_seconds=20), list[float](), 0
    width = pace.first_width(KEYS)
    while position < KEYS and len(seconds) < 1000:
        seconds.append(cost(width))
        position += width
        width = pace.next_width(width, seconds=seconds[-1])
    return seconds


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01])
def test_there_are_few_statements_if_each_reads_the_whole_table(share: float) -> None:
    assert len(statements(lambda width: 60 + share * width / 1000)) < 12


def test_statements_take_the_intended_time_if_all_rows_cost_the_same() -> None:
    seconds = statements(lambda width: width / 10_000)
    assert max(seconds) <= 20.001
    assert len(seconds) < 60


def test_expensive_rows_are_read_in_small_ranges() -> None:
    seconds = statements(lambda width: width / 1_000)
    # the width of the first range is a guess
    assert max(seconds[1:]) <= 20.001


def test_a_fixed_cost_per_statement_leaves_less_time_for_its_rows() -> None:
    seconds = statements(lambda width: 5 + width / 10_000)
    assert max(seconds) < 26
    assert len(seconds) < 80
