"""Guides become Help pages: links, anchors and escaped HTML."""

from __future__ import annotations

import re

from pipekit_site.web import help as help_pages


def test_html_in_a_guide_is_shown_as_text() -> None:
    shown = help_pages.parse("x", "# A & B\n\n<script>alert(1)</script>\n\n<b>x</b> [y](javascript:alert(1))\n")
    assert "<script" not in shown.html and "<b>" not in shown.html and 'href="javascript' not in shown.html
    assert "&lt;script&gt;" in shown.html


def test_links_between_guides_lead_to_help_pages() -> None:
    text = (
        "# A\n\n[s](schedules.md#missed-times) [i](README.md) [a](#a) [w](https://example.com/x) ![o](images/o.png)\n"
    )
    shown = help_pages.parse("x", text)
    assert re.findall(r'(?:href|src)="([^"]*)"', shown.html) == [
        "/admin/help/schedules/#missed-times",
        "/admin/help/",
        "#a",
        "https://example.com/x",
        "/admin/help/images/o.png",
    ]


def test_a_link_to_a_file_without_a_help_page_becomes_text() -> None:
    shown = help_pages.parse("x", "# A\n\nSee [`sdk/errors.py`](../../sdk/errors.py), [there](schedules.md).\n")
    assert '<p>See <code>sdk/errors.py</code>, <a href="/admin/help/schedules/">there</a>.</p>' in shown.html


def test_headings_get_the_anchors_of_code_hosts() -> None:
    shown = help_pages.parse("x", "# What's new?\n\n## `config.yaml` keys\n\n## Same\n\n## Same\n")
    assert [heading.anchor for heading in shown.headings] == ["whats-new", "configyaml-keys", "same", "same-1"]
    assert '<h2 id="same-1">' in shown.html
    assert [heading.text for heading in shown.sections] == ["config.yaml keys", "Same", "Same"]
