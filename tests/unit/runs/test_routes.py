"""The route of a transfer: a kind's own raw copy where it offers one, else Arrow batches."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from connections import registry
from connections.sdk import raw_copy
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.raw_copy import Cancellation, NotRaw, RawCopy, RawJob
from connections.sdk.row_counts import TransferResult
from connections.sdk.schema import TableName
from runs.jrunner import cancel
from runs.jrunner.job import Job
from runs.jrunner.reporter import Reporter
from runs.jrunner.routes.choose import choose_route

RESULT = TransferResult(read=1, written=1, size=8)


def copied(reporter: raw_copy.Reporter, cancellation: Cancellation) -> TransferResult:
    return RESULT


@dataclass
class Copies:
    """Raw copies that answer every job the same."""

    answer: RawCopy | NotRaw

    def choose(self, job: RawJob) -> RawCopy | NotRaw:
        assert (job.query, job.target.table.table, job.trim) == ("SELECT 1", "t", True)
        return self.answer


def job(source: str = "foo", destination: str = "foo") -> Job:
    return Job(
        source=ConnectionParameters(kind=source, url=""),
        query="SELECT 1",
        destination=ConnectionParameters(kind=destination, url=""),
        table=TableName("", "t"),
        columns=(),
        trim=True,
    )


@pytest.mark.parametrize(
    ("answer", "route"),
    [
        (RawCopy(why="same bytes", copy=copied), ("raw", "same bytes")),
        (NotRaw(why="other bytes"), ("arrow", "other bytes")),
    ],
)
def test_a_kind_decides_whether_its_rows_are_copied_raw(
    monkeypatch: pytest.MonkeyPatch, answer: RawCopy | NotRaw, route: tuple[str, str]
) -> None:
    monkeypatch.setattr(registry, "raw_copies", lambda kind: Copies(answer))
    chosen = choose_route(job())
    assert (chosen.name, chosen.why) == route
    if chosen.name == "raw":
        assert chosen.copy(job(), Reporter(events=False), cancel.Cancellation()) is RESULT


def test_rows_of_different_kinds_and_of_kinds_without_raw_copies_are_copied_as_arrow_batches() -> None:
    for one in (job("sqlite", "duckdb"), job("postgresql", "sqlite"), job("sqlite", "sqlite")):
        chosen = choose_route(one)
        assert (chosen.name, chosen.why) == ("arrow", f"{one.source.kind} to {one.destination.kind}")
