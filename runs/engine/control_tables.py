"""The control tables in the destination: commit records of published runs, claims on staging tables, exchanges.

The tables are in the schema of the staging tables. A commit record is written in the publish transaction, so it shows
whether the run was published even if the answer to COMMIT was lost. A run claims its module's staging table before it
stages rows; if another run holds the claim later, the run was overtaken and must neither write rows nor publish.
"""

from __future__ import annotations

import datetime as dt

from connections.sdk.claim import Claim
from connections.sdk.protocols import Session
from connections.sdk.schema import TableName
from connections.sdk.sql.publishing import PublishingDialect
from runs.engine.events import Published
from runs.engine.plan import Plan

_COMMITS = [
    ("run", "varchar(64) NOT NULL"),
    ("kind", "varchar(16) NOT NULL"),
    ("module", "varchar(128) NOT NULL"),
    ("inserted", "bigint"),
    ("updated", "bigint"),
    ("deleted", "bigint"),
    ("watermark", "text"),
    ("published_at", "varchar(40) NOT NULL"),
]
_CLAIMS = [("module", "varchar(128) NOT NULL"), ("run", "varchar(64) NOT NULL")]
_EXCHANGES = [
    ("module", "varchar(128) NOT NULL"),
    ("run", "varchar(64) NOT NULL"),
    ("columns", "text NOT NULL"),
    ("data_version", "text"),
    ("exchanged_at", "varchar(40) NOT NULL"),
]


def commits_table(dialect: PublishingDialect) -> TableName:
    return TableName(dialect.staging_schema, "pipekit_commits")


def claims_table(dialect: PublishingDialect) -> TableName:
    return TableName(dialect.staging_schema, "pipekit_claims")


def exchanges_table(dialect: PublishingDialect) -> TableName:
    return TableName(dialect.staging_schema, "pipekit_exchanges")


def definitions(dialect: PublishingDialect, *, exchanges: bool) -> list[tuple[TableName, str]]:
    """Return the tables, each with its CREATE TABLE statement; with ``exchanges`` also the one that records those."""
    commits, claims, exchanged = commits_table(dialect), claims_table(dialect), exchanges_table(dialect)
    tables = [
        (commits, _with_key(dialect.create_table(commits, _COMMITS), "run, kind")),
        (claims, _with_key(dialect.create_table(claims, _CLAIMS), "module")),
    ]
    if exchanges:
        tables.append((exchanged, _with_key(dialect.create_table(exchanged, _EXCHANGES), "module")))
    return tables


def _with_key(create: str, columns: str) -> str:
    return f"{create[:-2]},\n  PRIMARY KEY ({columns})\n)"


def take_claim(session: Session, dialect: PublishingDialect, plan: Plan) -> None:
    """Claim the module's staging table for this run; the run that held the claim can no longer publish."""
    mark = dialect.placeholder
    session.execute(
        f"INSERT INTO {dialect.qualified(claims_table(dialect))} (module, run) VALUES ({mark}, {mark})\n"
        "ON CONFLICT (module) DO UPDATE SET run = excluded.run",
        (plan.module, plan.run),
    )


def staging_claim(dialect: PublishingDialect, plan: Plan, *, shared: bool = False) -> Claim:
    """Return the claim with the query that checks and locks it in a transaction; ``shared`` for a shared lock."""
    claims, module = dialect.qualified(claims_table(dialect)), dialect.string(plan.module)
    sql = f"SELECT run FROM {claims} WHERE module = {module}{dialect.lock_rows(shared=shared)}"
    return Claim(sql=sql, run=plan.run, module=plan.module)


def hold_claim(session: Session, dialect: PublishingDialect, plan: Plan) -> None:
    """Check inside a transaction that this run holds the claim, and lock it until the transaction ends.

    Raises Overtaken when a later run has taken the claim.
    """
    claim = staging_claim(dialect, plan)
    claim.check(session.fetch(claim.sql))


def write_commit(session: Session, dialect: PublishingDialect, plan: Plan, published: Published, *, kind: str) -> None:
    """Write the commit record; call it inside the publish transaction."""
    marks = ", ".join([dialect.placeholder] * len(_COMMITS))
    names = ", ".join(name for name, _ in _COMMITS)
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    session.execute(
        f"INSERT INTO {dialect.qualified(commits_table(dialect))} ({names}) VALUES ({marks})",
        (
            plan.run,
            kind,
            plan.module,
            published.inserted,
            published.updated,
            published.deleted,
            published.watermark,
            now,
        ),
    )


def find_commit(session: Session, dialect: PublishingDialect, plan: Plan, *, kind: str) -> Published | None:
    """Return what the run published, None if it has no commit record. The table must exist."""
    mark = dialect.placeholder
    rows = session.fetch(
        f"SELECT inserted, updated, deleted, watermark FROM {dialect.qualified(commits_table(dialect))} "
        f"WHERE run = {mark} AND kind = {mark}",
        (plan.run, kind),
    )
    if not rows:
        return None
    inserted, updated, deleted, watermark = rows[0]
    return Published(
        inserted=inserted,
        updated=updated,
        deleted=deleted,
        watermark_column=plan.watermark,
        watermark=watermark,
        recovered=True,
    )
