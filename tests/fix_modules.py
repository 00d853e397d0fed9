"""Connections and modules in the metadata database, for tests that go through commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from connections.sdk.parameters import ConnectionParameters

if TYPE_CHECKING:  # plugins are loaded before Django is set up
    from connections.models import Connection
    from modules.models import Module


@pytest.fixture
def save_connection(transactional_db: None) -> Callable[..., Connection]:
    """Save a connection of these parameters under its name; more fields as keywords."""
    from connections.models import Connection, Driver

    def save(parameters: ConnectionParameters, **fields: Any) -> Connection:
        driver = Driver.objects.get(kind=parameters.kind)
        values = {"driver": driver, "jdbc_url": parameters.url, "options": dict(parameters.options), **fields}
        connection, _ = Connection.objects.update_or_create(name=parameters.name, defaults=values)
        connection.full_clean()
        return connection

    return save


@pytest.fixture
def save_module(
    save_connection: Callable[..., Connection], erp: ConnectionParameters, warehouse: ConnectionParameters
) -> Callable[..., Module]:
    """Save a module from the SQLite source to the embedded PostgreSQL, `sync.<name>`, full unless said otherwise."""
    from modules.models import Module

    def save(name: str, query: str, **fields: Any) -> Module:
        values = {
            "source_connection": fields.pop("source", None) or save_connection(erp),
            "dest_connection": fields.pop("destination", None) or save_connection(warehouse),
            "dest_table": f"sync.{name}",
            "source_query": query,
            **fields,
        }
        module = Module(name=name, **values)
        module.full_clean()
        module.save()
        return module

    return save
