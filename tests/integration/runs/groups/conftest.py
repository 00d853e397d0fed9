"""Fixtures of the group tests: a group and its members."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from modules.models import Group, GroupMember, Module
from tests.harness.bench import Bench
from tests.integration.runs.groups.members import GOOD, Member


@pytest.fixture
def group(pg_bench: Bench, db: None) -> Group:
    return Group.objects.create(name="nightly")


@pytest.fixture
def member(group: Group, pg_bench: Bench, save_module: Any, save_connection: Any) -> Iterator[Member]:
    """Return a function that adds a module to the group, by default after those before it."""
    numbers = count(1)
    source = save_connection(pg_bench.source)

    def add(name: str, query: str = GOOD, *, order: int | None = None, **fields: Any) -> Module:
        module: Module = save_module(name, query, source=source, **fields)
        GroupMember.objects.create(group=group, module=module, run_order=order or next(numbers))
        return module

    yield add
