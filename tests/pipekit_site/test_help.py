"""The guides as the Help of the admin."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

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


@pytest.mark.django_db
def test_every_help_page_opens(admin_client: Client) -> None:
    for name in help_pages.names():
        shown = help_pages.page(name)
        response = admin_client.get(shown.url)
        assert response.status_code == 200
        content = response.content.decode()
        assert f"{shown.title} | Pipekit</title>" in content.replace("\n", "")
        assert all(f'id="{heading.anchor}"' in content for heading in shown.headings)
        for source in re.findall(r'<img src="([^"]+)"', shown.html):
            image = admin_client.get(source)
            assert (image.status_code, image["Content-Type"]) == (200, "image/png")


@pytest.mark.django_db
def test_the_sidebar_links_to_help(admin_client: Client) -> None:
    assert 'href="/admin/help/"' in admin_client.get(reverse("admin:index")).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["none/", "../settings/", "images/none.png", "images/..%2F..%2Fsettings.py"])
def test_what_is_no_guide_is_not_found(admin_client: Client, path: str) -> None:
    assert admin_client.get(f"/admin/help/{path}").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["", "schedules/", "images/overview.png"])
def test_help_needs_a_login_to_the_admin(client: Client, path: str) -> None:
    response = client.get(f"/admin/help/{path}")
    assert response.status_code == 302 and response["Location"].startswith("/admin/login/")
    client.force_login(User.objects.create_user("visitor"))
    assert client.get(f"/admin/help/{path}").status_code == 302
