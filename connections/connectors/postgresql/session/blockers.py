"""Description of the lock that a session waits for and of its holders, from the rows of `blockers.sql`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from connections.connectors.postgresql.dialect import PUBLISHING

BLOCKERS = (Path(__file__).parent.parent / "queries" / "blockers.sql").read_text()
# number of holders that are named
_MAX_NAMED = 3
# number of characters of a statement that are shown
_MAX_SHOWN = 60
# the beginning of a statement up to the first literal or comment, which may contain secrets: quoted identifiers, words
# (except those that begin a literal, such as E'') and operators. It ends at a quote, a number, a $ or a comment
_HARMLESS = re.compile(
    r"""(?: "(?:[^"]|"")*" | (?!(?:[EBXN]|U&)') [^\W\d][\w$]* | (?!--|/\*|\.\d) [^\w'"$] )*""",
    re.IGNORECASE | re.VERBOSE,
)


def describe(rows: Sequence[Sequence[Any]]) -> str:
    """Return the lock and its holders as a sentence without a full stop; empty for no rows."""
    if not rows:
        return ""
    kind, table, mode, number = rows[0][:4]
    holders = [_holder(*row[4:]) for row in rows[:_MAX_NAMED]]
    if len(rows) > _MAX_NAMED:
        holders.append(f"{len(rows) - _MAX_NAMED} more")
    return f"waiting for {_lock(kind, table, mode, number)}, held by {', '.join(holders)}"


def _lock(kind: str, table: str | None, mode: str, number: int | None) -> str:
    where = f" of {table}" if table else ""
    match kind:
        case "relation":
            return f"a lock on {table} ({mode})"
        case "transactionid" | "tuple":
            return f"rows{where} that another transaction has changed or locked"
        case "advisory" if number == PUBLISHING:
            return "the end of another run's publish into the same table"
        case _:
            return f"a lock{where} ({kind}, {mode})"


def _holder(
    pid: int, application: str | None, user: str | None, state: str | None, since: str | None, query: str | None
) -> str:
    if not pid:
        return "a prepared transaction (see pg_prepared_xacts)"
    words = [application or "no application name", *([f"user {user}"] if user else []), *([state] if state else [])]
    if since:
        words.append(f"transaction open since {since} UTC")
    if query and state:
        words.append(f"statement: {_beginning(query)}")
    return f"process {pid} ({', '.join(words)})"


def _beginning(query: str) -> str:
    harmless = _HARMLESS.match(query)
    shown = harmless[0] if harmless else ""
    text = " ".join(shown.split())
    if len(shown) == len(query) and len(text) <= _MAX_SHOWN:
        return text
    return f"{text[:_MAX_SHOWN].rstrip()} ...".lstrip()
