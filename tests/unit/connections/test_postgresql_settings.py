"""The libpq keywords and session settings of a PostgreSQL connection, from the properties of its URL."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connections.connectors.postgresql.copy import bulk
from connections.connectors.postgresql.session.settings import libpq_settings, session_settings
from connections.sdk.errors import ConfigurationInvalid, UrlInvalid
from connections.sdk.parameters import ConnectionParameters


def parameters(query: str, **options: Any) -> ConnectionParameters:
    return ConnectionParameters(kind="postgresql", url=f"jdbc:postgresql://127.0.0.1:1/dw?{query}", options=options)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("channel_binding=require", {"channel_binding": "require"}),
        ("gssEncMode=require", {"gssencmode": "require"}),
        ("gssEncMode=allow", {"gssencmode": "prefer"}),
        ("target_session_attrs=read-write", {"target_session_attrs": "read-write"}),
        ("targetServerType=primary", {"target_session_attrs": "primary"}),
        ("targetServerType=preferSecondary", {"target_session_attrs": "prefer-standby"}),
        ("tcpKeepAlive=FALSE", {"keepalives": "0"}),
        ("ssl=true", {"sslmode": "require"}),
        ("ApplicationName=no", {"application_name": "no"}),
        ("loginTimeout=7", {"connect_timeout": "7"}),
        ("connectTimeout=30", {"connect_timeout": "30"}),
        ("connectTimeout=30&loginTimeout=20", {"connect_timeout": "20"}),
        ("", {"connect_timeout": "10"}),
    ],
)
def test_properties_that_protect_or_limit_become_keywords_of_libpq(query: str, expected: dict[str, str]) -> None:
    keywords = libpq_settings(parameters(query))
    assert {name: keywords.get(name) for name in expected} == expected


@pytest.mark.parametrize("query", ["", "connectTimeout=30", "connect_timeout=30"])
def test_a_url_does_not_extend_the_timeout_that_the_engine_sets(query: str) -> None:
    assert libpq_settings(parameters(query, connect_timeout=4))["connect_timeout"] == "4"


def test_a_url_may_shorten_the_timeout_that_the_engine_sets() -> None:
    assert libpq_settings(parameters("connectTimeout=2", connect_timeout=4))["connect_timeout"] == "2"


@pytest.mark.parametrize("name", ["connectTimeout", "connect_timeout", "loginTimeout"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_timeout_of_less_than_a_second_is_refused(name: str, value: str) -> None:
    with pytest.raises(UrlInvalid, match=f"The value of the property “{name}” is not valid") as caught:
        libpq_settings(parameters(f"{name}={value}"))
    assert "at least 1" in caught.value.hint


@pytest.mark.parametrize(("value", "expected"), [("true", "on"), ("YES", "on"), ("false", "off")])
def test_read_only_makes_the_transactions_of_the_session_read_only(value: str, expected: str) -> None:
    assert session_settings(parameters(f"readOnly={value}"))["default_transaction_read_only"] == expected


@pytest.mark.parametrize("query", ["channel_binding=require", "channel_binding=require&sslmode=require"])
def test_rows_are_not_copied_without_the_channel_binding_that_is_required(query: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="channel_binding=require") as caught:
        asyncio.run(bulk.connect(parameters(query)))
    assert "sslmode=verify-full" in caught.value.hint


def test_rows_are_not_copied_without_the_encryption_by_gssapi_that_is_required() -> None:
    with pytest.raises(ConfigurationInvalid, match="gssEncMode=require"):
        asyncio.run(bulk.connect(parameters("gssEncMode=require")))
