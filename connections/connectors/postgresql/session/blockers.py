"""Describes the lock that a session waits for and the sessions that hold it, from the rows of `blockers.sql`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from connections.connectors.postgresql.dialect import PUBLISHING

BLOCKERS = (Path(__file__).parent.parent / "queries" / "blockers.sql").read_text()
# more than these are not named
_NAMED = 3
# of a statement, so many characters at most
_SHOWN = 60
# its beginning up to the first literal or comment, which may hold anything: quoted identifiers, words (but none that
# begins a literal, such as E''), and signs. What follows is a quote, a number that is no part of a name, $ or a comment
_HARMLESS = re.compile(
    r"""(?: "(?:[^"]|"")*" | (?!(?:[EBXN]|U&)') [^\W\d][\w$]* | (?!--|/\*|\.\d) [^\w'"$] )*""",
    re.IGNORECASE | re.VERBOSE,
)


def described(rows: Sequence[Sequence[Any]]) -> str:
    """Return for what the session waits and who has it, as one sentence without a full stop; nothing for no rows."""
    if not rows:
        return ""
    kind, table, mode, number = rows[0][:4]
    holders = [_holder(*row[4:]) for row in rows[:_NAMED]]
    if len(rows) > _NAMED:
        holders.append(f"{len(rows) - _NAMED} more")
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
    if len(shown) == len(query) and len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN].rstrip()} ...".lstrip()
