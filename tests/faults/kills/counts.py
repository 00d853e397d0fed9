"""Totals of a sweep of faults, printed as one line at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.faults.changing_source import Generator, count_differences, digest, stored_rows


@dataclass
class Tally:
    """Injected faults, and the rows and locks that they lost, doubled and left behind."""

    title: str
    injected: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0

    def __str__(self) -> str:
        return (
            f"{self.title}: {self.injected} faults injected, {self.lost} rows lost, {self.doubled} rows doubled, "
            f"{self.stuck} stuck locks"
        )

    def compare(self, generator: Generator) -> None:
        """Compare the table with what a completed run must have published."""
        lost, doubled = count_differences(generator.expected(), stored_rows(generator.bench))
        self.lost, self.doubled = self.lost + lost, self.doubled + doubled
        assert digest(stored_rows(generator.bench)) == digest(generator.expected())


@contextmanager
def printed_tally(title: str, request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Return a tally for the block; at its end, print it past pytest's capture and check that nothing went wrong."""
    tally = Tally(title)
    yield tally
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{tally}")
    assert (tally.lost, tally.doubled, tally.stuck) == (0, 0, 0)
