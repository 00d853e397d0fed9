"""What a verification compared, all of it or a part: in words, as JSON, and as the command that does it again."""

from __future__ import annotations

import shlex
from typing import Any

from runs.engine.plurals import counted
from runs.models.verification import Verification


def as_json(verification: Verification) -> dict[str, Any]:
    """Return what was compared; null stands for all columns, all times, all rows.

    ``since`` is the value that was compared with, once it is known: an interval such as `2 days` has become one.
    """
    asked, compared = verification.options, verification.compared or {}
    sample = None if is_whole_instead(verification) else asked.get("sample")
    return {
        "everything": not (asked.get("columns") or asked.get("since") or sample),
        "columns": asked.get("columns") or None,
        "since": compared.get("since") or asked.get("since") or None,
        "since_column": compared.get("since_column"),
        "sample": sample,
    }


def is_whole_instead(verification: Verification) -> bool:
    """Whether a sample was asked for and all rows were compared, which was no more work."""
    return bool(verification.options.get("sample")) and (verification.compared or {}).get("sampled") is False


def words(verification: Verification) -> str:
    """Return what was compared, such as `every row and column` or `rows since id 5; only the key and a, b`."""
    scope = as_json(verification)
    parts = []
    if scope["sample"]:
        parts.append(f"a sample of about {counted(scope['sample'])}")
    if scope["since"]:
        column = f"{scope['since_column']} " if scope["since_column"] else ""
        parts.append(f"rows since {column}{scope['since']}")
    if scope["columns"]:
        # what names a row is compared too
        parts.append(f"only the key and {', '.join(scope['columns'])}")
    elif not parts:
        parts.append("every row and column")
    if is_whole_instead(verification):
        parts.append(f"no more work than a sample of {counted(verification.options['sample'])}")
    return "; ".join(parts)


def command(verification: Verification, *, repair: bool = False, force: bool = False) -> str:
    """Return the command that compares the same again."""
    asked = verification.options
    parts = ["manage.py", "verifymodule", shlex.quote(verification.module_name)]
    parts += ["--repair"] if repair else []
    parts += ["--force"] if force else []
    parts += ["--since", shlex.quote(asked["since"])] if asked.get("since") else []
    parts += ["--columns", shlex.quote(",".join(asked["columns"]))] if asked.get("columns") else []
    parts += ["--sample", str(asked["sample"])] if asked.get("sample") else []
    return " ".join(parts)
