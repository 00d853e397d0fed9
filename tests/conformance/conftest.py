"""Marks most of the suite for DuckDB as `matrix`: each session takes 40 ms to open the file."""

from __future__ import annotations

import pytest

# test classes that are marked
_LONG = frozenset({"ConnectionTests", "SessionTests", "CatalogueTests", "NameTests", "PublishingTests"})
# tests of these classes that run by default
_QUICK = frozenset({"test_a_publish_produces_the_expected_rows", "test_columns_may_have_any_names"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and item.cls is not None and item.cls.__name__ == "TestDuckdb":
            part, _, name = item.function.__qualname__.partition(".")
            if part in _LONG and name not in _QUICK:
                item.add_marker(pytest.mark.matrix)
