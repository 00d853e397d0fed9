"""Offers the raw copy between two PostgreSQL servers if the binary format of every column is the same on both."""

from __future__ import annotations

from contextlib import closing

from connections.connectors.postgresql.copy import raw_types
from connections.connectors.postgresql.copy.raw_types import Types
from connections.sdk.raw_copy import NotRaw, RawCopy, RawJob


def choose(job: RawJob) -> RawCopy | NotRaw:
    """Return the copy, or the column that prevents it. Connects to servers that have to describe their types."""
    columns = job.target.columns
    source, destination = raw_types.known_types(columns) if job.typed else (None, None)
    if source is None or destination is None:
        source, destination = _described(job, source, destination)
    plan = raw_types.compare(source, destination, columns, trim=job.trim)
    if isinstance(plan, NotRaw):
        return plan
    # imported late: asyncpg is not needed if there is no raw copy
    from connections.connectors.postgresql.copy import raw

    casts = sum(bool(cast) for cast in plan.casts)
    why = f"every column's bytes are the same on both sides{f', after {casts} exact casts' if casts else ''}"
    return RawCopy(why=why, copy=lambda reporter, cancellation: raw.copy(job, plan, reporter, cancellation))


def load() -> None:
    """Import what a raw copy needs."""
    from connections.connectors.postgresql.copy import raw  # noqa: F401


def _described(job: RawJob, source: Types | None, destination: Types | None) -> tuple[Types, Types]:
    """Return the types of both sides; those that are not known are asked of their servers."""
    # imported late: psycopg takes longer to load than a small copy takes to run
    from connections.connectors.postgresql import driver
    from connections.connectors.postgresql.copy import described_types

    if source is None:
        with closing(driver.connect(job.source)) as session:
            source = described_types.types_of_query(session, job.query, job.target.columns)
    if destination is None:
        with closing(driver.connect(job.target.parameters)) as session:
            destination = described_types.types_of_table(session, job.target.table, job.target.columns)
    return source, destination
