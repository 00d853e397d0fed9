"""A verification reads a sample only if that is less work than reading all rows."""

from __future__ import annotations

import pytest

from runs.engine.verify.samples import choose_sample

KEYS = (0, 10_000_000)


@pytest.mark.parametrize(
    ("sample_rows", "table_rows", "is_sampled"),
    [
        (100_000, 10_000_000, True),
        (100_000, 400_000, True),
        # 17 more statements, at 5 per second, take as long as 170,000 rows
        (100_000, 250_000, False),
        (10, 150_000, False),
        (100, 100, False),
        (200, 100, False),
    ],
)
def test_a_table_is_sampled_only_if_it_is_large_enough(sample_rows: int, table_rows: int, is_sampled: bool) -> None:
    assert (choose_sample(KEYS, sample_rows, table_rows, per_second=5) is not None) is is_sampled


def test_a_small_table_is_sampled_if_statements_are_fast() -> None:
    sample = choose_sample((0, 1000), 100, 1000, per_second=100_000)
    assert sample is not None
    assert sum(high - low for low, high in sample.ranges) == 100


def test_without_key_ranges_the_sample_is_a_share_of_hash_buckets() -> None:
    sample = choose_sample(None, 100, 1000, per_second=5)
    assert sample is not None
    assert sample.buckets is not None
    assert len(sample.buckets) == sample.bucket_count // 10
