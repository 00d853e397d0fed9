"""Guides are rendered as Help pages: links, anchors and escaped HTML."""

from __future__ import annotations

import re

from pipekit_site.web import help as help_pages


def test_html_in_a_guide_is_shown_as_text() -> None:
    page = help_pages.parse("x", "# A & B\n\n<script>alert(1)</script>\n\n<b>x</b> [y](javascript:alert(1))\n")
    assert "<script" not in page.html and "<b>" not in page.html and 'href="javascript' not in page.html
    assert "&lt;script&gt;" in page.html


def test_links_and_images_of_guides_become_urls_of_help_pages() -> None:
    text = (
        "# A\n\n[s](schedules.md#missed-times) [i](README.md) [a](#a) [w](https://example.com/x) ![o](images/o.png)\n"
    )
    page = help_pages.parse("x", text)
    assert re.findall(r'(?:href|src)="([^"]*)"', page.html) == [
        "/admin/help/schedules/#missed-times",
        "/admin/help/",
        "#a",
        "https://example.com/x",
        "/admin/help/images/o.png",
    ]


def test_a_link_to_a_file_without_a_help_page_becomes_text() -> None:
    page = help_pages.parse("x", "# A\n\nSee [`sdk/errors.py`](../../sdk/errors.py), [there](schedules.md).\n")
    assert '<p>See <code>sdk/errors.py</code>, <a href="/admin/help/schedules/">there</a>.</p>' in page.html


def test_headings_have_the_same_anchors_as_on_code_hosts() -> None:
    page = help_pages.parse("x", "# What's new?\n\n## `config.yaml` keys\n\n## Same\n\n## Same\n")
    assert [heading.anchor for heading in page.headings] == ["whats-new", "configyaml-keys", "same", "same-1"]
    assert '<h2 id="same-1">' in page.html
    assert [heading.text for heading in page.sections] == ["config.yaml keys", "Same", "Same"]
