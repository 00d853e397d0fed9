"""Users with only view permissions, or with none, cannot change anything through actions or URLs of the admin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core import serializers
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from tests.integration.pipekit_site.admin.test_admin_pages import rows as rows

pytestmark = pytest.mark.django_db
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
# URL names that every user of the admin may use
OPEN = {"index", "logout", "password_change", "password_change_done", "jsi18n", "login", "toggle_sidebar", "search"}
# the guides, for everybody who may log in to the admin
OPEN |= {"help", "help_page", "help_image"}


def user(*, may_view: bool) -> User:
    row = User.objects.create_user("vera", password="x", is_staff=True)
    if may_view:
        row.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    # read again, without cached permissions
    return User.objects.get(pk=row.pk)


def all_rows() -> str:
    """Return all rows as JSON, except sessions and the admin's log."""
    excluded = {"sessions", "admin"}
    models = [model for model in apps.get_models() if model._meta.app_label not in excluded]
    return str(
        serializers.serialize("json", [row for model in models for row in model._default_manager.order_by("pk")])
    )


def actions() -> Iterator[tuple[type[Model], str]]:
    for model in MODELS:
        for name in admin.site._registry[model].actions or ():
            yield model, name if isinstance(name, str) else name.__name__
        yield model, "delete_selected"


def test_the_tried_actions_include_all_that_a_superuser_is_offered(admin_user: User) -> None:
    request = RequestFactory().get("/")
    request.user = admin_user
    offered = {(model, name) for model in MODELS for name in admin.site._registry[model].get_actions(request)}
    assert offered <= set(actions())
    assert len(offered) > 20


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("may_view", [True, False])
def test_no_action_of_any_list_is_offered_or_executed(rows: None, may_view: bool) -> None:
    viewer = user(may_view=may_view)
    before = all_rows()
    for model, action in actions():
        page = admin.site._registry[model]
        selected = [row.pk for row in model._default_manager.all()]
        data = {"action": action, "_selected_action": selected, "post": "yes", "from_page": "1"}
        request = RequestFactory().post("/", data)
        request.user = viewer
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        assert page.get_actions(request) == {}, model
        # the response is not rendered, because that takes long and only the rows count
        if may_view:
            page.changelist_view(request)
        else:
            with pytest.raises(PermissionDenied):
                page.changelist_view(request)
    assert all_rows() == before


def urls(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from urls(pattern, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield prefix + str(pattern.pattern), pattern.name or ""


@pytest.mark.matrix
@pytest.mark.parametrize("may_view", [True, False])
def test_no_url_of_the_admin_changes_anything(client: Client, rows: None, may_view: bool) -> None:
    client.force_login(user(may_view=may_view))
    before = all_rows()
    tried: list[tuple[str, int]] = []
    for pattern, name in urls(get_resolver()):
        if not pattern.startswith("admin/") or name in OPEN | {"view_on_site"}:
            continue
        url = "/" + pattern.replace("<path:object_id>", "1").replace("(?P<url>.*)$", "x").replace("<id>", "1")
        for method in ("get", "post"):
            data: Any = {"_save": "1", "post": "yes", "name": "x", "key": "notify_every", "value": "3"}
            status = getattr(client, method)(url, data).status_code
            tried.append((url, status))
            # 400: the data is not a valid filter of a list
            allowed = {301, 302, 400, 403, 404, 405} | ({200} if may_view else set())
            assert status in allowed, (method, url, name, status)
    assert len(tried) > 100
    assert all_rows() == before
