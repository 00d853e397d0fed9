"""A verification as other programs and terminals get it: the promised JSON, a summary, the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runs.verification import Verification, VerificationStatus

_KINDS = ("missing", "extra", "different")


def exit_code(verification: Verification) -> int:
    """Return 0 for equal or repaired, 5 for different, 1 for an error, 130 for one that was cancelled."""
    if (verification.error or {}).get("code") == "cancelled":
        return 130
    if verification.status == VerificationStatus.EQUAL:
        return 0
    if verification.status == VerificationStatus.DIFFERENT:
        return 0 if verification.is_repaired else 5
    return 1


def as_json(verification: Verification) -> dict[str, Any]:
    """Return the verification under the names that scripts hold on to."""
    return {
        "verification": verification.pk,
        "module": verification.module_name,
        "status": str(verification.status),
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


def not_begun(module: str, error: Mapping[str, str]) -> dict[str, Any]:
    """Return what `as_json` would say of a verification that never came to be; its number is null."""
    return as_json(Verification(module_name=module, status=VerificationStatus.ERROR, error=dict(error)))


def summary(verification: Verification) -> str:
    """Return what was found in a few lines, examples included."""
    if verification.status == VerificationStatus.ERROR:
        return f"{verification.module_name}: not verified (verification {verification.pk})"
    counted = ", ".join(f"{getattr(verification, kind):,} {kind}" for kind in _KINDS)
    rows = f"{verification.source_rows:,} rows at the source, {verification.dest_rows:,} in the destination"
    took = f"{verification.seconds or 0:.2f} s"
    lines = [f"{verification.module_name}: {verification.status} in {took}: {rows}; {counted}"]
    lines += [f"  warning: {warning}" for warning in verification.warnings]
    for kind in ("missing", "extra"):
        if keys := verification.examples.get(kind):
            lines.append(f"  {kind}: {', '.join(map(_shown, keys))}")
    for value in verification.examples.get("different", []):
        lines.append(
            f"  different: {_shown(value['key'])} {value['column']}: {value['source']!r} at the source,"
            f" {value['dest']!r} in the destination"
        )
    if repaired := verification.repaired:
        counted = ", ".join(f"{repaired[name]} {name}" for name in ("pulled", "inserted", "updated", "deleted"))
        lines.append(f"  repaired by run {verification.repair_run_id}: {counted}")
    return "\n".join(lines)


def _shown(key: Any) -> str:
    return f"({', '.join(map(str, key))})" if isinstance(key, list) else str(key)
