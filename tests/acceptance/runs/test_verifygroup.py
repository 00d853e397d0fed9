"""Tests of the command `verifygroup`, and of hints of commands that are called with a group instead of a module."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modules.models import Module
from runs.models.verification import Verification, VerificationStatus
from runs.verifications.insert import VerificationRequest, insert_verification
from tests.factories import GroupFactory, GroupMemberFactory, ModuleFactory
from tests.harness.bench import Bench
from tests.processes.commands import call

pytestmark = pytest.mark.usefixtures("transfer_in_process")


@pytest.fixture
def nightly(bench: Bench, save_module: Callable[..., Module]) -> Bench:
    """Create a group of three modules: `items` differs, `orders` is equal, `off` is disabled."""
    bench.at_source("CREATE TABLE s (id INTEGER, name TEXT)", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    bench.at_destination("CREATE SCHEMA sync")
    group = GroupFactory.create(name="nightly")
    for order, name in enumerate(["orders", "items", "off"]):
        bench.at_destination(
            f"CREATE TABLE sync.{name} (id bigint, name text)", f"INSERT INTO sync.{name} VALUES (1, 'a'), (2, 'b')"
        )
        module = save_module(
            name,
            "SELECT id AS id, name AS name FROM s",
            merge_strategy="upsert",
            merge_key="id",
            enabled=name != "off",
        )
        GroupMemberFactory.create(group=group, module=module, run_order=9 - order)
    bench.at_destination("DELETE FROM sync.items WHERE id = 2")
    return bench


@pytest.mark.matrix
def test_all_enabled_modules_are_verified_in_their_order(nightly: Bench) -> None:
    result = call("verifygroup", "nightly", "--json")
    assert result.code == 5
    assert result.json["group"] == "nightly"
    verifications = [(row["module"], row["status"], row["missing"]) for row in result.json["verifications"]]
    assert verifications == [("items", "different", 1), ("orders", "equal", 0)]


@pytest.mark.matrix
def test_the_modules_that_differ_are_repaired_with_the_option_repair(nightly: Bench) -> None:
    result = call("verifygroup", "nightly", "--repair", "--quiet")
    assert result.code == 0
    assert "items: repaired" in result.out
    assert "orders: equal" in result.out
    assert nightly.rows("SELECT * FROM sync.items ORDER BY 1") == [(1, "a"), (2, "b")]


def test_a_module_that_is_already_being_verified_is_an_error_and_the_others_are_verified(nightly: Bench) -> None:
    insert_verification(Module.objects.get(name="items"), VerificationRequest())
    result = call("verifygroup", "nightly", "--json")
    assert result.code == 4
    assert [row["status"] for row in result.json["verifications"]] == ["error", "equal"]
    assert result.json["verifications"][0]["error"]["code"] == "already_running"
    assert Verification.objects.filter(status=VerificationStatus.EQUAL).count() == 1


@pytest.mark.django_db
def test_force_without_repair_is_refused() -> None:
    result = call("verifygroup", "nightly", "--force")
    assert result.code == 2
    assert result.err.startswith("error: --force needs --repair")


@pytest.mark.django_db
def test_a_group_without_modules_exits_with_3() -> None:
    GroupFactory.create(name="empty")
    result = call("verifygroup", "empty", "--json")
    assert (result.code, result.json["error"]["code"]) == (3, "not_found")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["runmodule", "verifymodule"])
def test_commands_for_modules_recognize_the_name_of_a_group(name: str) -> None:
    GroupFactory.create(name="nightly")
    result = call(name, "nightly")
    assert result.code == 3
    assert "There is no module “nightly”. It is a group." in result.err
    assert "manage.py rungroup nightly" in result.err
    assert "manage.py verifygroup nightly" in result.err


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["rungroup", "verifygroup"])
def test_commands_for_groups_recognize_the_name_of_a_module(name: str) -> None:
    ModuleFactory.create(name="qcrh")
    result = call(name, "qcrh")
    assert result.code == 3
    assert "There is no group “qcrh”. It is a module." in result.err
    assert "manage.py runmodule qcrh" in result.err
