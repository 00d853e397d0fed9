"""What the destination itself remembers: which runs are published, and which run holds a module's staging table.

Both tables stand beside the staging tables. A commit record is written in the transaction that publishes, so after any
lost answer it says whether the run is there. A claim is taken when staging begins; a run that finds another's name
there when it comes to write rows or to publish them has been overtaken, and must not.
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


def commits_table(dialect: PublishingDialect) -> TableName:
    return TableName(dialect.staging_schema, "pipekit_commits")


def claims_table(dialect: PublishingDialect) -> TableName:
    return TableName(dialect.staging_schema, "pipekit_claims")


def definitions(dialect: PublishingDialect) -> list[tuple[TableName, str]]:
    """Return both tables with the statement that creates each."""
    commits, claims = commits_table(dialect), claims_table(dialect)
    return [
        (commits, _with_key(dialect.create_table(commits, _COMMITS), "run, kind")),
        (claims, _with_key(dialect.create_table(claims, _CLAIMS), "module")),
    ]


def _with_key(create: str, columns: str) -> str:
    return f"{create[:-2]},\n  PRIMARY KEY ({columns})\n)"


def claim(session: Session, dialect: PublishingDialect, plan: Plan) -> None:
    """Make the module's staging table this run's; whoever held it can no longer publish from it."""
    mark = dialect.placeholder
    session.execute(
        f"INSERT INTO {dialect.qualified(claims_table(dialect))} (module, run) VALUES ({mark}, {mark})\n"
        "ON CONFLICT (module) DO UPDATE SET run = excluded.run",
        (plan.module, plan.run),
    )


def staging_claim(dialect: PublishingDialect, plan: Plan, *, shared: bool = False) -> Claim:
    """Return the claim as a transaction asks for it and holds it; ``shared`` when several may at once."""
    claims, module = dialect.qualified(claims_table(dialect)), dialect.string(plan.module)
    sql = f"SELECT run FROM {claims} WHERE module = {module}{dialect.lock_rows(shared=shared)}"
    return Claim(sql=sql, run=plan.run, module=plan.module)


def hold_claim(session: Session, dialect: PublishingDialect, plan: Plan) -> None:
    """Inside the publish transaction: check that staging is still this run's, and keep it so until the end.

    Raises Overtaken when a later run took over.
    """
    claim = staging_claim(dialect, plan)
    claim.check(session.fetch(claim.sql))


def write(session: Session, dialect: PublishingDialect, plan: Plan, published: Published, *, kind: str) -> None:
    """Write the record, in the transaction that publishes."""
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


def find(session: Session, dialect: PublishingDialect, plan: Plan, *, kind: str) -> Published | None:
    """Return what the run published, None when it published nothing. The table must exist."""
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
