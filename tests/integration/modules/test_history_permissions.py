"""Restoring a version requires the same permissions as the same edit in the form."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse

from modules import history
from modules.models import Module
from tests.factories import HookFactory, ModuleFactory, WatermarkFactory

pytestmark = pytest.mark.django_db
SQL = "DELETE FROM sync.orders"


@pytest.fixture
def module() -> Module:
    """A module whose version 1 has a hook and a watermark, and whose version 2 has neither."""
    module = ModuleFactory.create(source_query="SELECT a FROM t WHERE d > '{since}'")
    with history.recorded(module, actor="ann"):
        WatermarkFactory.create(module=module)
        HookFactory.create(module=module, sql=SQL)
    with history.recorded(module, actor="ann"):
        module.watermarks.all().delete()
        module.hooks.all().delete()
        module.source_query = "SELECT a FROM t"
        module.save()
    return module


def client_with(*permissions: str) -> Client:
    user = User.objects.create_user("ed", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def restore(client: Client, module: Module, version: int = 1) -> str:
    page = reverse("admin:modules_modulehistory_changelist")
    pk = module.history.get(version=version).pk
    response = client.post(page, {"action": "restore", "_selected_action": [pk]}, follow=True)
    return response.content.decode()


EDITOR = ("view_modulehistory", "view_module", "change_module")


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("permissions", "missing"),
    [
        (EDITOR, "modules.add_watermark, modules.add_hook"),
        ((*EDITOR, "add_watermark"), "modules.add_hook"),
        ((*EDITOR, "add_watermark", "change_hook", "delete_hook", "view_hook"), "modules.add_hook"),
    ],
)
def test_a_user_without_permissions_for_hooks_cannot_restore_hooks(
    module: Module, permissions: tuple[str, ...], missing: str
) -> None:
    content = restore(client_with(*permissions), module)
    assert f"this needs the permission {missing}." in content
    assert not module.hooks.exists() and not module.watermarks.exists()
    assert module.history.count() == 2


def test_a_user_with_permissions_for_hooks_restores_hooks(module: Module) -> None:
    assert "is restored" in restore(client_with(*EDITOR, "add_watermark", "add_hook"), module)
    assert module.hooks.get().sql == SQL


def test_restoring_a_version_with_the_same_hooks_requires_no_permissions_for_hooks(module: Module) -> None:
    with history.recorded(module, actor="ann"):
        module.owner = "Ben"
        module.save()
    assert "is restored" in restore(client_with(*EDITOR), module, version=2)
    module.refresh_from_db()
    assert module.owner == ""


def test_removing_a_hook_by_restoring_requires_the_permission_to_delete_it(module: Module) -> None:
    history.restore(module.history.get(version=1), actor="ann")
    with pytest.raises(PermissionDenied, match="modules.delete_watermark, modules.delete_hook"):
        history.restore(module.history.get(version=2), actor="ed", may={"modules.change_module"}.__contains__)
    assert module.hooks.exists()


def test_changing_the_sql_of_a_hook_by_restoring_requires_the_permission_to_change_it(module: Module) -> None:
    history.restore(module.history.get(version=1), actor="ann")
    with history.recorded(module, actor="ann"):
        module.hooks.update(sql="ANALYZE sync.orders")
    first = module.history.get(version=1)
    with pytest.raises(PermissionDenied, match="modules.change_hook or modules.add_hook and modules.delete_hook"):
        history.restore(first, actor="ed", may={"modules.change_module"}.__contains__)
    history.restore(first, actor="ed", may={"modules.change_module", "modules.change_hook"}.__contains__)
    assert module.hooks.get().sql == SQL


def test_a_user_without_the_permission_to_change_modules_cannot_restore(module: Module) -> None:
    restore(client_with("view_modulehistory", "add_hook", "add_watermark"), module)
    assert module.history.count() == 2
