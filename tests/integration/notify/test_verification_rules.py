"""Notification rules of verifications: each difference once, the result of its repair, and its end."""

from __future__ import annotations

from typing import Any

import pytest

from modules.models import Module
from runs.models import Verification
from runs.models.notification import Notification
from runs.models.setting import current_settings
from runs.notify.messages import notification_headline, notification_mail
from runs.verifications.scope import scope_words
from tests.factories import ModuleFactory, RunFactory, change_settings

pytestmark = pytest.mark.django_db
LEFT = {"pulled": 3, "inserted": 1, "updated": 2, "deleted": 0, "left": 4}


@pytest.fixture(autouse=True)
def recipient() -> None:
    change_settings(notification_addresses=["etl@example.com"])


@pytest.fixture
def orders() -> Module:
    return ModuleFactory.create(name="orders")


def ended(module: Module, status: str, counts: tuple[int, int, int] = (0, 0, 0), **fields: Any) -> Verification:
    """Return a finished verification; ``counts`` are its missing, extra and different rows."""
    options = fields.pop("options", {})
    row = Verification.objects.create(module=module, module_name=module.name, trigger="schedule:1", options=options)
    results = dict(zip(("missing", "extra", "different"), counts, strict=True))
    row.finish(status, **{**results, **fields})
    return row


def kinds() -> list[str]:
    return list(Notification.objects.order_by("pk").values_list("kind", flat=True))


def test_an_unchanged_difference_is_reported_once(orders: Module) -> None:
    for _ in range(3):
        ended(orders, "different", (1, 0, 2))
    assert kinds() == ["different"]


def test_a_changed_difference_is_reported_and_so_is_the_same_one_after_its_end(orders: Module) -> None:
    ended(orders, "different", (1, 0, 2))
    ended(orders, "different", (1, 0, 3))
    ended(orders, "equal")
    ended(orders, "different", (1, 0, 3))
    assert kinds() == ["different", "different", "equal", "different"]


def test_a_failed_verification_is_reported_and_does_not_make_a_difference_new(orders: Module) -> None:
    ended(orders, "different", (1, 0, 2))
    ended(orders, "error", error={"code": "connection_failed", "message": "x", "hint": "y"})
    ended(orders, "different", (1, 0, 2))
    assert kinds() == ["different", "unverified"]


def test_a_repaired_difference_is_reported_as_repaired_each_time(orders: Module) -> None:
    run = RunFactory.create(module=orders)
    for _ in range(2):
        ended(orders, "different", (1, 0, 2), repaired={**LEFT, "left": 0}, repair_run=run)
    assert kinds() == ["different", "different"]
    about = Notification.objects.order_by("pk")[0].about
    assert f"Run {run.pk} repaired it." in about["error"]["message"]
    assert about["error"]["hint"] == ""
    assert "lacks" not in about["error"]["message"]
    assert notification_headline(about) == "orders differed from its source and was repaired: 1 missing, 2 different"


def test_rows_that_a_repair_leaves_different_are_reported_once_with_the_reason(orders: Module) -> None:
    for _ in range(2):
        ended(orders, "different", (0, 4, 0), repaired=LEFT, warnings=["After the repair 4 extra. They are kept."])
    assert kinds() == ["different"]
    assert Notification.objects.get().about["error"]["message"].endswith("After the repair 4 extra. They are kept.")


def test_a_repair_that_fails_is_reported_with_its_error(orders: Module) -> None:
    ended(orders, "different", (1, 0, 0))
    error = {"code": "safety_limit", "message": "Too many.", "hint": "Use --force.", "detail": ""}
    ended(orders, "different", (1, 0, 0), error=error)
    assert kinds() == ["different", "different"]
    about = Notification.objects.order_by("pk")[1].about
    assert about["error"]["message"].endswith("The repair failed: Too many.")
    assert about["error"]["hint"] == "Use --force."


@pytest.mark.parametrize("options", [{"sample": 100}, {"since": "5"}, {"columns": ["name"]}])
def test_an_equal_part_does_not_end_a_difference_of_the_whole_table(orders: Module, options: dict[str, Any]) -> None:
    ended(orders, "different", (1, 0, 2))
    ended(orders, "equal", options=options, source_rows=7, dest_rows=7)
    assert kinds() == ["different"]
    ended(orders, "equal", source_rows=9, dest_rows=9)
    assert kinds() == ["different", "equal"]


def test_a_difference_of_a_part_ends_with_the_same_part(orders: Module) -> None:
    ended(orders, "different", (1, 0, 2), options={"since": "5"}, source_rows=7, dest_rows=6)
    ended(orders, "equal", options={"since": "8"}, source_rows=1, dest_rows=1)
    assert kinds() == ["different"]
    ended(orders, "equal", options={"since": "5"}, source_rows=7, dest_rows=7)
    assert kinds() == ["different", "equal"]
    different, equal = Notification.objects.order_by("pk")
    assert different.about["scope"]["since"] == "5"
    text = notification_mail([different.about], current_settings(), key="k").text
    assert "rows since 5: 7 rows at the source, 6 in the destination" in text
    assert different.about["error"]["hint"] == "manage.py verifymodule orders --repair --since 5"
    assert notification_headline(equal.about) == "orders equals its source again, in the part that was compared"


def test_an_equal_sample_does_not_end_a_difference_even_of_a_sample(orders: Module) -> None:
    ended(orders, "different", (0, 0, 2), options={"sample": 10})
    ended(orders, "equal", options={"sample": 10}, source_rows=10, dest_rows=10)
    assert kinds() == ["different"]


def test_a_sample_that_compared_every_row_ends_a_difference(orders: Module) -> None:
    ended(orders, "different", (1, 0, 2), options={"sample": 100})
    ended(orders, "equal", options={"sample": 100}, compared={"sampled": False}, source_rows=10, dest_rows=10)
    assert kinds() == ["different", "equal"]


def test_a_sample_that_compared_every_row_of_a_part_ends_only_a_difference_of_the_same_part(orders: Module) -> None:
    ended(orders, "different", (1, 0, 2))
    options = {"sample": 100, "since": "5"}
    ended(orders, "equal", options=options, compared={"sampled": False}, source_rows=10, dest_rows=10)
    assert kinds() == ["different"]
    ended(orders, "different", (0, 0, 1), options={"since": "5"})
    ended(orders, "equal", options=options, compared={"sampled": False}, source_rows=10, dest_rows=10)
    assert kinds() == ["different", "different", "equal"]


def test_large_numbers_have_a_thousands_separator(orders: Module) -> None:
    run = RunFactory.create(module=orders)
    ended(orders, "different", (1000, 2000, 3000))
    ended(orders, "different", (1000, 2000, 3000), repaired={**LEFT, "left": 0}, repair_run=run)
    texts = [row.about["error"]["message"] for row in Notification.objects.order_by("pk")]
    counts = ("1,000 rows", "2,000 that the source does not have", "3,000 with other values")
    assert [count in text for text in texts for count in counts] == [True] * 6


def test_the_scope_in_words_is_as_its_docstring_shows(orders: Module) -> None:
    whole = Verification(module=orders, options={})
    part = Verification(
        module=orders, options={"since": "5", "columns": ["a", "b"]}, compared={"since": "5", "since_column": "id"}
    )
    docstring = scope_words.__doc__ or ""
    assert f"`{scope_words(whole)}`" in docstring
    assert f"`{scope_words(part)}`" in docstring
