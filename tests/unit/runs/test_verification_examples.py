"""Examples on the page of a verification: values are shown so that their difference is visible."""

from __future__ import annotations

import pytest

from runs.admin.verification_examples import excerpts, rendered

LONG = "the same text " * 40


@pytest.mark.parametrize(
    ("source", "dest", "shown"),
    [
        ("41.25", None, ("41.25", None)),
        ("a", "b", ("a", "b")),
        # invisible in HTML
        ("a", "a ", ("a", "a\u2423")),
        (" a", "a", ("\u2423a", "a")),
        ("", "  ", ("", "\u2423\u2423")),
        ("a\n", "a", ("a\u240a", "a")),
        ("a b", "a\u00a0b", ("a b", "a\\xa0b")),
        ("a b", "a  b", ("a b", "a  b")),
        # different characters that look the same
        ("\u00e9", "e\u0301", ("\\xe9", "e\\u0301")),
        ("ab", "a\u200bb", ("ab", "a\\u200bb")),
        ("x\u202e", "x\u202d", ("x\\u202e", "x\\u202d")),
        # control characters that would reverse the text or act on a terminal
        ("a\u202egnp.exe", "b", ("a\ufffdgnp.exe", "b")),
        ("\x1b[31mred", "red", ("\u241b[31mred", "red")),
    ],
)
def test_two_different_values_look_different(source: str, dest: str | None, shown: tuple[str, str]) -> None:
    assert excerpts(source, dest) == shown


def test_long_values_are_cut_to_the_part_that_differs() -> None:
    source, dest = excerpts(f"{LONG}old{LONG}", f"{LONG}new{LONG}")
    assert source and dest
    assert source.startswith("…") and source.endswith("…")
    assert ("old" in source, "new" in dest) == (True, True)
    assert len(source) < 200
    source, dest = excerpts(LONG, f"{LONG}more")
    assert dest is not None and dest.endswith("more")


def test_keys_of_several_columns_are_shown_as_tuples_and_html_is_escaped() -> None:
    page = rendered({"missing": [["<b>x</b>", 1]], "extra": [7], "different": []})
    assert "<code>(&lt;b&gt;x&lt;/b&gt;, 1)</code>" in page
    assert "<code>7</code>" in page
    assert "Different" not in page
