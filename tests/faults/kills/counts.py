"""What a sweep of faults did: counted, and told in one line when the sweep is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.faults.changing_source import Generator, compared, evidence, stored


@dataclass
class Tally:
    what: str
    injected: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.injected} faults injected, {self.lost} rows lost, {self.doubled} rows doubled, "
            f"{self.stuck} stuck locks"
        )

    def compare(self, generator: Generator) -> None:
        """Hold the table against what a whole run must have brought."""
        lost, doubled = compared(generator.expected(), stored(generator.bench))
        self.lost, self.doubled = self.lost + lost, self.doubled + doubled
        assert evidence(stored(generator.bench)) == evidence(generator.expected())


@contextmanager
def told(what: str, request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Count within the block; the total is printed at its end, past pytest's capture."""
    found = Tally(what)
    yield found
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{found}")
    assert (found.lost, found.doubled, found.stuck) == (0, 0, 0)
