"""`verifygroup`: the modules of a group are compared one after another; names of the other kind say which command."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modules.models import Module
from runs.models.verification import Verification, VerificationStatus
from runs.verifications.launch import VerificationRequest, claim
from tests.benches.bench import Bench
from tests.factories import GroupFactory, GroupMemberFactory, ModuleFactory
from tests.processes.commands import called

pytestmark = pytest.mark.usefixtures("transfer_in_process")


@pytest.fixture
def nightly(bench: Bench, save_module: Callable[..., Module]) -> Bench:
    """A group of three: `items` differs, `orders` is equal, `off` is disabled."""
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


def test_all_enabled_modules_are_compared_in_their_order(nightly: Bench) -> None:
    done = called("verifygroup", "nightly", "--json")
    assert done.code == 5
    assert done.json["group"] == "nightly"
    found = [(row["module"], row["status"], row["missing"]) for row in done.json["verifications"]]
    assert found == [("items", "different", 1), ("orders", "equal", 0)]


def test_what_differs_is_repaired(nightly: Bench) -> None:
    done = called("verifygroup", "nightly", "--repair", "--quiet")
    assert done.code == 0
    assert "items: repaired" in done.out
    assert "orders: equal" in done.out
    assert nightly.rows("SELECT * FROM sync.items ORDER BY 1") == [(1, "a"), (2, "b")]


def test_a_module_that_is_being_verified_is_left_out_and_the_others_are_compared(nightly: Bench) -> None:
    claim(Module.objects.get(name="items"), VerificationRequest())
    done = called("verifygroup", "nightly", "--json")
    assert done.code == 4
    assert [row["status"] for row in done.json["verifications"]] == ["error", "equal"]
    assert done.json["verifications"][0]["error"]["code"] == "already_running"
    assert Verification.objects.filter(status=VerificationStatus.EQUAL).count() == 1


@pytest.mark.django_db
def test_force_without_repair_is_refused() -> None:
    done = called("verifygroup", "nightly", "--force")
    assert done.code == 2
    assert done.err.startswith("error: --force needs --repair")


@pytest.mark.django_db
def test_a_group_without_modules_is_nothing_to_verify() -> None:
    GroupFactory.create(name="empty")
    done = called("verifygroup", "empty", "--json")
    assert (done.code, done.json["error"]["code"]) == (3, "not_found")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["runmodule", "verifymodule"])
def test_a_group_s_name_is_told_from_a_module_s(name: str) -> None:
    GroupFactory.create(name="nightly")
    done = called(name, "nightly")
    assert done.code == 3
    assert "There is no module “nightly”. It is a group." in done.err
    assert "manage.py rungroup nightly" in done.err
    assert "manage.py verifygroup nightly" in done.err


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["rungroup", "verifygroup"])
def test_a_module_s_name_is_told_from_a_group_s(name: str) -> None:
    ModuleFactory.create(name="qcrh")
    done = called(name, "qcrh")
    assert done.code == 3
    assert "There is no group “qcrh”. It is a module." in done.err
    assert "manage.py runmodule qcrh" in done.err
