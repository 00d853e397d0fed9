"""The scope of a verification (all rows and columns, or a part) in words, as JSON, and as a command."""

from __future__ import annotations

import shlex
from typing import Any

from connections.sdk.formatting import counted
from runs.models.verification import Verification


def scope_as_json(verification: Verification) -> dict[str, Any]:
    """Return the scope as JSON; null means all columns, all times, or all rows.

    ``since`` is the value that was compared with, once an interval such as `2 days` has been resolved to one.
    """
    options, compared = verification.options, verification.compared or {}
    sample = None if is_whole_instead(verification) else options.get("sample")
    return {
        "everything": not (options.get("columns") or options.get("since") or sample),
        "columns": options.get("columns") or None,
        "since": compared.get("since") or options.get("since") or None,
        "since_column": compared.get("since_column"),
        "sample": sample,
    }


def is_whole_instead(verification: Verification) -> bool:
    """Return whether all rows were compared although a sample was requested, because that took no more work."""
    return bool(verification.options.get("sample")) and (verification.compared or {}).get("sampled") is False


def scope_words(verification: Verification) -> str:
    """Return the scope in words, such as `every row and column` or `rows since id 5; only the key and a, b`."""
    scope = scope_as_json(verification)
    parts = []
    if scope["sample"]:
        parts.append(f"a sample of about {counted(scope['sample'])}")
    if scope["since"]:
        column = f"{scope['since_column']} " if scope["since_column"] else ""
        parts.append(f"rows since {column}{scope['since']}")
    if scope["columns"]:
        # the key is always compared
        parts.append(f"only the key and {', '.join(scope['columns'])}")
    elif not parts:
        parts.append("every row and column")
    if is_whole_instead(verification):
        parts.append(f"no more work than a sample of {counted(verification.options['sample'])}")
    return "; ".join(parts)


def scope_command(verification: Verification, *, repair: bool = False, force: bool = False) -> str:
    """Return the command that compares the same scope again."""
    options = verification.options
    parts = ["manage.py", "verifymodule", shlex.quote(verification.module_name)]
    parts += ["--repair"] if repair else []
    parts += ["--force"] if force else []
    parts += ["--since", shlex.quote(options["since"])] if options.get("since") else []
    parts += ["--columns", shlex.quote(",".join(options["columns"]))] if options.get("columns") else []
    parts += ["--sample", str(options["sample"])] if options.get("sample") else []
    return " ".join(parts)
