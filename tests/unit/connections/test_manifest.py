"""Manifests of connectors: every kind has one that matches its connector, and errors are reported with their line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.errors import ConfigurationInvalid, NotSupported
from connections.sdk.manifest import Manifest
from connections.sdk.manifest_yaml import load
from connections.sdk.sql.publishing import PublishingDialect
from connections.url import parse

MANIFEST = """\
name: thing
title: A thing
version: 1.2.3
description: What it is.
entrypoint: a.b.connector:CONNECTOR
capabilities: [discover, read]
auth:
  type: token
  env_vars:
    - {name: API_TOKEN, description: The token., required: true}
config:
  type: object
  required: [site]
  properties:
    site: {type: string, description: Which site.}
    pages: {type: integer, description: Pages at a time., default: 5}
    key: {type: string, description: The key., secret: true}
    mode: {type: string, description: How., enum: [fast, slow], default: fast}
health_check:
  endpoint: /health
  headers: {Authorization: "Bearer ${API_TOKEN}"}
  expect_status: 204
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Manifest]:
    def from_text(text: str) -> Manifest:
        path = tmp_path / "connector.yaml"
        path.write_text(text)
        return load(path)

    return from_text


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_has_a_manifest_with_its_name(kind: str) -> None:
    manifest = registry.manifest(kind)
    assert manifest.name == kind
    assert manifest.title and manifest.description and manifest.url and manifest.url.template
    assert registry.dialect(kind).name == kind


@pytest.mark.parametrize("kind", registry.kinds())
def test_a_manifest_lists_the_capabilities_of_its_connector(kind: str) -> None:
    manifest = registry.manifest(kind)
    if manifest.capabilities is Cap.NONE:
        with pytest.raises(NotSupported, match="cannot be moved"):
            registry.connector(kind)
        return
    module, name = manifest.entrypoint.split(":")
    connector = registry.connector(kind)
    assert getattr(import_module(module), name) is connector
    assert connector.capabilities == manifest.capabilities
    assert (connector.reader is not None) == bool(manifest.capabilities & Cap.READ)
    assert (connector.writer is not None) == bool(manifest.capabilities & Cap.WRITE)
    assert isinstance(connector.dialect, PublishingDialect) or not manifest.capabilities & Cap.WRITE


@pytest.mark.parametrize("kind", registry.kinds())
def test_the_url_template_makes_a_valid_url_of_its_kind(kind: str) -> None:
    values = {"host": "h", "port": "5432", "db": "d", "path": "/x", "library": "L", "service": "s", "system": "trino"}
    rules = registry.manifest(kind).url
    assert rules is not None
    parse.check(rules.template.format(**values, warehouse="w"), kind)


def test_all_parts_of_a_manifest_are_read(read: Callable[[str], Manifest]) -> None:
    manifest = read(MANIFEST)
    assert manifest.capabilities == Cap.DISCOVER | Cap.READ
    variable = manifest.env_vars[0]
    assert (manifest.auth_type, variable.name, variable.required) == ("token", "API_TOKEN", True)
    site, pages, key, mode = manifest.parameters
    assert (site.required, site.secret, site.type) == (True, False, "string")
    assert (pages.default, pages.type) == (5, "integer")
    assert key.secret and mode.choices == ("fast", "slow")
    assert manifest.health_check is not None
    assert manifest.health_check.headers == (("Authorization", "Bearer ${API_TOKEN}"),)
    assert (manifest.health_check.method, manifest.health_check.expect_status) == ("GET", 204)


URL = """\
url:
  form: network
  expected: thing://host/db
  template: thing://{host}/{db}
  prefixes: ["thing:"]
  suffixes: [.thing]
  default_port: 99
  properties:
    boolean: [ssl]
    word: [sslMode, time zone]
  choices:
    sslMode: [on, verify]
  without_effect: [time zone]
  default_database: main
  database_properties: [sslMode]
jdbc: {class: a.b.Driver, maven: "a.b:c:1.0"}
"""


def test_a_manifest_declares_urls_and_the_jdbc_driver(read: Callable[[str], Manifest]) -> None:
    manifest = read(MANIFEST + URL)
    rules, jdbc_driver = manifest.url, manifest.jdbc
    assert rules is not None and jdbc_driver is not None
    assert (rules.form, rules.prefixes, rules.suffixes) == ("network", ("thing:",), (".thing",))
    assert (rules.default_port, rules.separator, rules.plain_paths) == (99, "&", False)
    assert (rules.default_database, rules.database_properties) == ("main", ("sslMode",))
    assert {name: (one.name, one.type, one.choices) for name, one in rules.properties.items()} == {
        "ssl": ("ssl", "boolean", ()),
        "sslmode": ("sslMode", "word", ("on", "verify")),
        "time zone": ("time zone", "word", ()),
    }
    assert [one.name for one in rules.properties.values() if one.target] == ["ssl", "sslMode"]
    assert [one.name for one in rules.properties.values() if not one.has_effect] == ["time zone"]
    assert (jdbc_driver.class_name, jdbc_driver.maven) == ("a.b.Driver", "a.b:c:1.0")


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("form: network", "form: netork", 24, "“netork” is unknown"),
        ("form: network", "form: https", 24, "prefixes or the form https"),
        ('prefixes: ["thing:"]', 'prefixes: ["thing://"]', 27, "does not fit"),
        ("word: [sslMode", "word: [SSL, sslMode", 32, "“SSL” is given twice"),
        ("    boolean: [ssl]", "    bool: [ssl]", 31, "“bool” is unknown"),
        ("sslMode: [on", "other: [on", 34, "“other” is unknown"),
        ("database_properties: [sslMode]", "database_properties: [db]", 24, "“db” of database_properties"),
        ("without_effect: [time zone]", "without_effect: [other]", 35, "“other” is unknown"),
        ("class: a.b.Driver", "class: Driver", 38, "does not fit"),
    ],
)
def test_invalid_url_rules_are_refused_with_file_and_line(
    read: Callable[[str], Manifest], old: str, new: str, line: int, reason: str
) -> None:
    assert old in URL
    with pytest.raises(ConfigurationInvalid) as caught:
        read(MANIFEST + URL.replace(old, new, 1))
    assert reason in caught.value.message
    assert f"connector.yaml:{line}:" in caught.value.message


@pytest.mark.parametrize("kind", registry.kinds())
def test_a_manifest_is_the_same_after_conversion_to_json_and_back(kind: str) -> None:
    manifest = registry.manifest(kind)
    assert Manifest.from_json(json.loads(json.dumps(manifest.as_json()))) == manifest


def test_the_json_form_of_an_earlier_version_may_lack_a_list() -> None:
    """A run that is alive while Pipekit is upgraded starts the new jrunner with its own manifests."""
    manifest = registry.manifest("sqlite")
    data = manifest.as_json()
    del data["url"]["database_properties"]
    assert Manifest.from_json(json.loads(json.dumps(data))) == manifest


def test_a_connector_that_differs_from_its_manifest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(registry.manifest("sqlite"), capabilities=Cap.READ)
    registry._load.cache_clear()
    monkeypatch.setattr(registry, "manifest", lambda kind: other)
    with pytest.raises(ConfigurationInvalid, match="is not what its manifest says"):
        registry.connector("sqlite")


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("title: A thing", "titel: A thing", 1, "“title” is missing"),
        ("capabilities: [discover, read]", "capabilities: [discover, fly]", 6, "“fly” is unknown"),
        ("capabilities: [discover, read]", "capabilities: read", 6, "not a list"),
        ("version: 1.2.3", "version: one", 3, "“one” does not fit"),
        ("version: 1.2.3", "version: 1.2.3\nname: again", 4, "twice"),
        ("type: token", "type: password", 8, "“password” is unknown"),
        ("required: true}", "required: perhaps}", 10, "another type"),
        ("default: 5", "default: five", 16, "another type"),
        ("required: [site]", "required: [sight]", 13, "“sight” is unknown"),
        ("secret: true", "secrte: true", 17, "“secrte” is unknown"),
        ("${API_TOKEN}", "${OTHER}", 21, "is not a credential"),
        ("required: true}", "required: true}\n    - {name: OTHER, description: x}", 11, "no secret option"),
        ("entrypoint: a.b.connector:CONNECTOR\n", "", 1, "“entrypoint” is missing"),
        ("endpoint: /health", "endpoint: https://elsewhere/health", 20, "does not fit"),
        ("endpoint: /health", "endpoint: //elsewhere/health", 20, "does not fit"),
        ("config:", "konfig:", 12, "“konfig” is unknown"),
        ("entrypoint: a.b.connector:CONNECTOR", "entrypoint: a b", 5, "does not fit"),
        ("description: What it is.", "description: ''", 4, "not text"),
        ("title: A thing", "title: [", 4, "not valid YAML"),
    ],
)
def test_an_invalid_manifest_is_refused_with_file_and_line(
    read: Callable[[str], Manifest], old: str, new: str, line: int, reason: str
) -> None:
    assert old in MANIFEST
    with pytest.raises(ConfigurationInvalid) as caught:
        read(MANIFEST.replace(old, new, 1))
    assert reason in caught.value.message
    assert f"connector.yaml:{line}:" in caught.value.message


@pytest.mark.parametrize("text", ["", "- a list", "just text", "a: !!python/object:os.system x"])
def test_a_file_without_a_manifest_is_refused(read: Callable[[str], Manifest], text: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="connector.yaml:1"):
        read(text)


def test_a_missing_manifest_raises_configuration_invalid(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="cannot be read"):
        load(tmp_path / "connector.yaml")
