"""The output of the verify commands: JSON for scripts, and a text summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connections.sdk.formatting import counted
from runs.models.verification import Verification, VerificationStatus
from runs.verifications.outcome import VerificationOutcome, outcome_of
from runs.verifications.scope import scope_as_json, scope_command, scope_words

_KINDS = ("missing", "extra", "different")
_REPAIR_SUGGESTED = (VerificationOutcome.DIFFERENT, VerificationOutcome.CANCELLED)


def verification_as_json(verification: Verification) -> dict[str, Any]:
    """Return the verification as JSON; scripts rely on its keys.

    ``status`` and the counts are the result of the comparison; ``outcome`` includes the repair.
    """
    return {
        "verification": verification.pk,
        "module": verification.module_name,
        "status": str(verification.status),
        "outcome": str(outcome_of(verification)),
        "scope": scope_as_json(verification),
        "source_rows": verification.source_rows,
        "dest_rows": verification.dest_rows,
        **{kind: getattr(verification, kind) for kind in _KINDS},
        "examples": {kind: verification.examples.get(kind, []) for kind in _KINDS},
        "seconds": verification.seconds,
        "repaired": verification.repaired,
        "repair_run": verification.repair_run_id,
        "warnings": verification.warnings,
        "error": verification.error,
    }


def verification_not_begun(module: str | None, error: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON of a verification that could not be started; its number is null, and an unknown module."""
    verification = Verification(module_name=module or "", status=VerificationStatus.ERROR, error=dict(error))
    return {**verification_as_json(verification), "module": module}


def verification_failed(verification: Verification, error: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON of a verification whose command failed with this error, as far as it is known."""
    return {**verification_as_json(verification), "error": dict(error)}


def verification_summary(verification: Verification) -> str:
    """Return a text of several lines: outcome, scope, counts, examples, repair and warnings."""
    name, number = verification.module_name, verification.pk
    ended = outcome_of(verification)
    if verification.missing is None:
        words = "cancelled" if ended is VerificationOutcome.CANCELLED else "not verified"
        return f"{name}: {words} (verification {number})"
    sides = (verification.source_rows or 0, verification.dest_rows or 0)
    rows = f"{counted(sides[0])} at the source, {sides[1]:,} in the destination"
    lines = [
        f"{name}: {ended.label.lower()} in {verification.seconds or 0:.2f} s (verification {number})",
        f"  compared: {scope_words(verification)}: {rows}",
    ]
    if verification.status == VerificationStatus.DIFFERENT:
        counts = ", ".join(f"{getattr(verification, kind):,} {kind}" for kind in _KINDS)
        lines += [f"  {'found before the repair' if verification.repaired else 'found'}: {counts}"]
        lines += _examples(verification)
    if repair := repair_words(verification):
        lines.append(f"  repair by run {verification.repair_run_id}: {repair}")
    lines += [f"  warning: {warning}" for warning in verification.warnings]
    if ended in _REPAIR_SUGGESTED and verification.is_repairable:
        lines.append(f"  to repair it: {scope_command(verification, repair=True)}")
    return "\n".join(lines)


def repair_words(verification: Verification) -> str:
    """Return what the repair changed and what is left, in one line; empty if no repair was started."""
    ended = outcome_of(verification)
    if verification.repair_run_id is None:
        return ""
    words = {VerificationOutcome.REFUSED: "refused by a safety limit", VerificationOutcome.CANCELLED: "cancelled"}
    stopped = words.get(ended, "failed")
    if (repaired := verification.repaired) is None:
        return stopped
    # extra rows are deleted without being read
    names = {"pulled": "read again", "inserted": "inserted", "updated": "rewritten", "deleted": "deleted"}
    done = ", ".join(f"{_number(repaired[name])} {word}" for name, word in names.items())
    after = "not compared again"
    if not verification.is_repair_finished:
        after = f"then {stopped}, and not compared again"
    elif ended is VerificationOutcome.REPAIRED:
        after = "compared again, no row differs"
    elif left := repaired.get("left"):
        after = f"compared again, {left:,} still {'differs' if left == 1 else 'differ'}"
    return f"{counted(differing(verification))} differed; {done}; {after}"


def _number(rows: int | None) -> str:
    return "?" if rows is None else f"{rows:,}"


def differing(verification: Verification) -> int:
    """Return how many rows are missing, extra or different."""
    return sum(getattr(verification, kind) or 0 for kind in _KINDS)


def left_out(verification: Verification, kind: str) -> int:
    """Return how many missing, extra or different rows have no example."""
    examples = verification.examples.get(kind) or []
    # a different row has one example per column; a key is a number, a text or a list of these
    shown = {str(value["key"]) for value in examples} if kind == "different" else examples
    return max((getattr(verification, kind) or 0) - len(shown), 0)


def _examples(verification: Verification) -> list[str]:
    lines = []
    for kind in ("missing", "extra"):
        if keys := verification.examples.get(kind):
            more = left_out(verification, kind)
            lines.append(f"  {kind}: {', '.join(map(_key_text, keys))}{f' and {more:,} more' if more else ''}")
    for value in verification.examples.get("different", []):
        lines.append(
            f"  different: {_key_text(value['key'])} {value['column']}: {value['source']!r} at the source,"
            f" {value['dest']!r} in the destination"
        )
    if more := left_out(verification, "different"):
        lines.append(f"  different: and {counted(more)} more")
    return lines


def _key_text(key: Any) -> str:
    return f"({', '.join(map(str, key))})" if isinstance(key, list) else str(key)
