"""The page of a module shows the warnings of its last run."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import ModuleFactory, create_running_run

pytestmark = pytest.mark.django_db


def test_the_page_shows_the_warnings_of_the_last_run_that_is_no_dry_run(admin_client: Client) -> None:
    module = ModuleFactory.create()
    page = reverse("admin:modules_module_change", args=[module.pk])
    assert "The last run warned" not in admin_client.get(page).content.decode()
    create_running_run(module=module).finish_success(read=1, warnings=["Older."])
    create_running_run(module=module).finish_success(read=1, warnings=["2 rows share the highest <w>."])
    create_running_run(module=module, dry_run=True).finish_success(read=0, warnings=["Of a dry run."])
    content = admin_client.get(page).content.decode()
    assert "The last run warned: 2 rows share the highest &lt;w&gt;." in content
    assert "Older." not in content and "Of a dry run." not in content
