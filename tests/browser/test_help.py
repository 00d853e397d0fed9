"""Tests of the Help pages in a browser: links between pages, anchors and images work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.matrix
ALL_LOADED = "() => [...document.images].every(image => image.complete && image.naturalWidth > 0)"


def test_links_anchors_and_images_of_the_guides_work(
    page: Any, serve: Callable[..., str], log_in: Callable[[str], None]
) -> None:
    address = serve()
    log_in(address)
    page.locator("#nav-sidebar a[href='/admin/help/']").click()
    guides = page.get_by_role("navigation", name="All guides")
    guides.get_by_role("link", name="Quick start").click()
    page.get_by_role("img", name="The overview of the admin").wait_for()
    page.wait_for_function(ALL_LOADED)

    page.get_by_role("article").get_by_role("link", name="schedule it").click()
    page.get_by_role("navigation", name="On this page").get_by_role("link", name="Missed times").click()
    assert page.url == f"{address}/admin/help/schedules/#missed-times"
    heading = page.get_by_role("heading", name="Missed times")
    # the heading is not covered by the fixed header
    page.wait_for_function("element => element.getBoundingClientRect().top > 64", arg=heading.element_handle())

    for guide in ("Reliability", "Architecture", "Set up a sync"):
        guides.get_by_role("link", name=guide, exact=True).click()
        page.get_by_role("heading", name=guide, level=1).wait_for()
        # wide tables and code blocks have their own scroll bars; the page has none
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
