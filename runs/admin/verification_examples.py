"""Renders the examples of a verification as HTML: keys, and pairs of values cut to where they differ."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from django.template.loader import render_to_string

from connections.sdk.formatting import visible
from runs.verifications.results import excerpt, excerpt_start

# characters of a value that are shown, and how many of these precede the first difference
_SHOWN, _BEFORE = 160, 40
_BLANKS = str.maketrans({" ": "\u2423", "\t": "\u2409", "\n": "\u240a"})


def rendered(examples: Mapping[str, Any], more: Mapping[str, int] | None = None) -> str:
    """Return lists of the missing and extra keys and a table of the values that differ.

    ``more`` counts the rows without an example, as ``more_missing``, ``more_extra`` and ``more_different``.
    """
    keys = {kind: [_key(key) for key in examples.get(kind) or ()] for kind in ("missing", "extra")}
    different = [_row(value) for value in examples.get("different") or ()]
    return render_to_string("runs/verification/examples.html", {**keys, "different": different, **(more or {})})


def _key(key: Any) -> str:
    return visible(f"({', '.join(map(str, key))})" if isinstance(key, list) else str(key))


def _row(value: Mapping[str, Any]) -> dict[str, Any]:
    source, dest = excerpts(value["source"], value["dest"])
    return {"key": _key(value["key"]), "column": value["column"], "source": source, "dest": dest}


def excerpts(source: Any, dest: Any) -> tuple[str | None, str | None]:
    """Return two different values in a form that makes the difference visible; None stays None.

    Long values are cut around the first difference; control characters and white space at the ends are replaced by
    symbols. If both would still look the same, they are written with escapes.
    """
    if source is None or dest is None:
        return _excerpt(source), _excerpt(dest)
    left, right = str(source), str(dest)
    start = excerpt_start(left, right, length=_SHOWN, before=_BEFORE)
    left, right = (excerpt(text, start, _SHOWN) for text in (left, right))
    shown = _marked(left), _marked(right)
    if _appearance(shown[0]) == _appearance(shown[1]):
        return ascii(left)[1:-1], ascii(right)[1:-1]
    return shown


def _appearance(text: str) -> str:
    """Return a form that is equal for texts that look the same: no format characters, NFKC, white space collapsed."""
    visible_chars = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", visible_chars).split())


def _excerpt(value: Any) -> str | None:
    return None if value is None else _marked(excerpt(str(value), 0, _SHOWN))


def _marked(text: str) -> str:
    """Return the text with symbols for control characters and for white space at its ends, which HTML hides."""
    inner = text.strip(" \t\n")
    before = text[: len(text) - len(text.lstrip(" \t\n"))] if inner else text
    after = text[len(before) + len(inner) :]
    return f"{before.translate(_BLANKS)}{visible(inner)}{after.translate(_BLANKS)}"
