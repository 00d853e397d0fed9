"""A sample is taken where it saves work, and nowhere else."""

from __future__ import annotations

import pytest

from runs.engine.verify.samples import choose

KEYS = (0, 10_000_000)


@pytest.mark.parametrize(
    ("wanted", "present", "is_sampled"),
    [
        (100_000, 10_000_000, True),
        (100_000, 400_000, True),
        # 17 statements more at 5 a second are time for 170,000 rows
        (100_000, 250_000, False),
        (10, 150_000, False),
        (100, 100, False),
        (200, 100, False),
    ],
)
def test_of_a_small_table_all_rows_are_no_more_work(wanted: int, present: int, is_sampled: bool) -> None:
    assert (choose(KEYS, wanted, present, per_second=5) is not None) is is_sampled


def test_where_statements_need_not_wait_a_sample_is_less_work() -> None:
    sample = choose((0, 1000), 100, 1000, per_second=100_000)
    assert sample is not None
    assert sum(high - low for low, high in sample.ranges) == 100


def test_without_ranges_there_is_one_statement_whatever_is_wanted() -> None:
    sample = choose(None, 100, 1000, per_second=5)
    assert sample is not None
    assert sample.buckets is not None
    assert len(sample.buckets) == sample.bucket_count // 10
