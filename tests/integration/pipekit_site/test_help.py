"""The Help pages of the admin: each of them opens, for users of the admin only."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from pipekit_site.web import help as help_pages


@pytest.mark.django_db
def test_every_help_page_and_image_opens(admin_client: Client) -> None:
    images = set()
    for name in help_pages.names():
        page = help_pages.page(name)
        response = admin_client.get(page.url)
        assert response.status_code == 200
        content = response.content.decode()
        assert f"{page.title} | Pipekit</title>" in content.replace("\n", "")
        assert all(f'id="{heading.anchor}"' in content for heading in page.headings)
        for source in re.findall(r'<img src="([^"]+)"', page.html):
            image = admin_client.get(source)
            assert (image.status_code, image["Content-Type"]) == (200, "image/png")
            images.add(source.rpartition("/")[2])
    assert images == {file.name for file in (help_pages.DIRECTORY / "images").iterdir()}


@pytest.mark.django_db
def test_the_sidebar_links_to_help(admin_client: Client) -> None:
    assert 'href="/admin/help/"' in admin_client.get(reverse("admin:index")).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["none/", "../settings/", "images/none.png", "images/..%2F..%2Fsettings.py"])
def test_a_path_without_a_guide_is_not_found(admin_client: Client, path: str) -> None:
    assert admin_client.get(f"/admin/help/{path}").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["", "schedules/", "images/overview.png"])
def test_help_requires_a_login_to_the_admin(client: Client, path: str) -> None:
    response = client.get(f"/admin/help/{path}")
    assert response.status_code == 302 and response["Location"].startswith("/admin/login/")
    client.force_login(User.objects.create_user("visitor"))
    assert client.get(f"/admin/help/{path}").status_code == 302
