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


def test_the_former_table_that_the_last_run_has_kept_can_be_restored(admin_client: Client) -> None:
    module = ModuleFactory.create()
    page = reverse("admin:modules_module_change", args=[module.pk])
    run = create_running_run(module=module)
    run.finish_success(read=1, publish_method="swap", kept_bytes=12_300_000)
    run_page = admin_client.get(reverse("admin:runs_run_change", args=[run.pk])).content.decode()
    assert "Published by" in run_page and "swap; the previous table is kept: 12.3 MB" in run_page
    content = admin_client.get(page).content.decode()
    assert "Restore previous table" in content and "Previous table kept: 12.3 MB" in content
    # whether a later run has dropped it is not known
    create_running_run(module=module).finish_error({"code": "x", "message": "x", "hint": "x", "detail": ""})
    content = admin_client.get(page).content.decode()
    assert "Restore previous table" not in content and "Previous table kept" not in content
