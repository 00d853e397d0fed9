"""The warning of a run that creates its destination table although an earlier run of the module has filled it.

The file or database was then renamed, deleted or replaced, or the table was dropped. A run that reads only a part of
the source, because its query or a watermark limits it, does not bring the earlier rows back.
"""

from __future__ import annotations

from connections.url.parse import parse_url
from runs.engine.destination import Destination
from runs.engine.plan import Plan


def warnings(dest: Destination) -> list[str]:
    """Return the warning about a table that does not exist; none if no earlier run has filled it.

    None for a full refresh on a server either: it writes all rows that the source returns. Of a file, what else was in
    it is missing, too.
    """
    plan = dest.plan
    if plan.filled_by is None or plan.repair is not None:
        return []
    path = _file(plan)
    if plan.strategy.traits.replaces_all:
        return [_all_rows(dest, path)] if path else []
    where, what = (f"the file {path}", "file") if path else ("the database", "database")
    back = f"put the {what} back" if path else "restore the table"
    return [
        f"{_missing(dest, where, what)} This run creates it, with only the rows that the query returns now. To keep the"
        f" earlier rows, {back} and run the module again; to read all that the source has, run it once with"
        " --full-refresh."
    ]


def _all_rows(dest: Destination, path: str) -> str:
    return (
        f"{_missing(dest, f'the file {path}', 'file')} This run creates it, with all rows that the source returns. If"
        " the file had anything else in it, put it back and run the module again."
    )


def _missing(dest: Destination, where: str, what: str) -> str:
    return (
        f"There is no table {dest.table} in {where}, although run {dest.plan.filled_by} of this module has filled it:"
        f" the {what} was renamed, deleted or replaced, or the table was dropped."
    )


def _file(plan: Plan) -> str:
    url = parse_url(plan.destination.url, kind=plan.destination.kind)
    return url.path if url.is_file else ""
