"""Users with the right to look, or with none, change nothing by any action or address of the admin."""

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

from tests.integration.pipekit_site.test_admin_pages import rows as rows

pytestmark = pytest.mark.django_db
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
# what everybody who may log in has
OPEN = {"index", "logout", "password_change", "password_change_done", "jsi18n", "login", "toggle_sidebar", "search"}
# the guides, for everybody who may log in to the admin
OPEN |= {"help", "help_page", "help_image"}


def user(*, may_view: bool) -> User:
    found = User.objects.create_user("vera", password="x", is_staff=True)
    if may_view:
        found.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return User.objects.get(pk=found.pk)


def everything() -> str:
    """Return every row there is, but for what logging in and looking leaves."""
    left_out = {"sessions", "admin"}
    models = [model for model in apps.get_models() if model._meta.app_label not in left_out]
    return str(
        serializers.serialize("json", [row for model in models for row in model._default_manager.order_by("pk")])
    )


def actions() -> Iterator[tuple[type[Model], str]]:
    for model in MODELS:
        for name in admin.site._registry[model].actions or ():
            yield model, name if isinstance(name, str) else name.__name__
        yield model, "delete_selected"


def test_the_actions_that_are_tried_are_those_of_who_may_do_everything(admin_user: User) -> None:
    request = RequestFactory().get("/")
    request.user = admin_user
    offered = {(model, name) for model in MODELS for name in admin.site._registry[model].get_actions(request)}
    assert offered <= set(actions())
    assert len(offered) > 20


@pytest.mark.parametrize("may_view", [True, False])
def test_no_action_of_any_list_is_offered_or_done(rows: None, may_view: bool) -> None:
    viewer = user(may_view=may_view)
    before = everything()
    for model, action in actions():
        page = admin.site._registry[model]
        chosen = [row.pk for row in model._default_manager.all()]
        data = {"action": action, "_selected_action": chosen, "post": "yes", "from_page": "1"}
        request = RequestFactory().post("/", data)
        request.user = viewer
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        assert page.get_actions(request) == {}, model
        # the answer is not rendered: a list takes a while, and what counts is what was done
        if may_view:
            page.changelist_view(request)
        else:
            with pytest.raises(PermissionDenied):
                page.changelist_view(request)
    assert everything() == before


def addresses(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield prefix + str(pattern.pattern), pattern.name or ""


@pytest.mark.matrix
@pytest.mark.parametrize("may_view", [True, False])
def test_no_address_of_the_admin_changes_anything(client: Client, rows: None, may_view: bool) -> None:
    client.force_login(user(may_view=may_view))
    before = everything()
    tried: list[tuple[str, int]] = []
    for address, name in addresses(get_resolver()):
        if not address.startswith("admin/") or name in OPEN | {"view_on_site"}:
            continue
        place = "/" + address.replace("<path:object_id>", "1").replace("(?P<url>.*)$", "x").replace("<id>", "1")
        for method in ("get", "post"):
            data: Any = {"_save": "1", "post": "yes", "name": "x", "key": "notify_every", "value": "3"}
            status = getattr(client, method)(place, data).status_code
            tried.append((place, status))
            # 400: what is sent is no filter of a list
            allowed = {301, 302, 400, 403, 404, 405} | ({200} if may_view else set())
            assert status in allowed, (method, place, name, status)
    assert len(tried) > 100
    assert everything() == before
