"""The registry: third-party connectors besides the built-in ones, and problems with their manifests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connections import registry
from connections.sdk.errors import ConfigurationInvalid, DriverMissing, UrlInvalid
from connections.url import syntaxes
from connections.url.parse import kind_of, parse_url, rebuild
from connections.url.parts import ConnectionUrl

MANIFEST = """\
name: sound
title: Sound
version: 1.0.0
description: A kind of a third party.
entrypoint: pk_sound.connector:CONNECTOR
capabilities: [read]
url:
  form: network
  expected: sound://host/db
  template: sound://{host}/{db}
  prefixes: ["sound:"]
  separator: ";"
  properties: {boolean: [ssl]}
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for package, text in {
        "pk_sound": MANIFEST,
        "pk_invalid": MANIFEST.replace("title", "titel"),
        "pk_renamed": MANIFEST,
        "pk_stripped": "",
    }.items():
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        if text:
            (tmp_path / package / "connector.yaml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    installed = {kind: f"pk_{kind}" for kind in ("sound", "invalid", "renamed", "stripped", "absent")}
    monkeypatch.setattr(registry, "_third_party", lambda: installed)
    registry.manifests.cache_clear()
    yield
    for cached in (registry.manifests, registry.manifest, registry._load):
        cached.cache_clear()


def test_a_third_party_connector_that_cannot_be_used_is_reported_and_does_not_affect_others(third_party: None) -> None:
    assert {"sound", "invalid", "renamed", "absent", "sqlite"} <= set(registry.kinds())
    assert {"sound", "sqlite"} <= set(registry.manifests())
    assert not {"invalid", "renamed", "absent"} & set(registry.manifests())
    absent, invalid, renamed, stripped = (error.message for error in registry.problems())
    assert "pk_absent" in absent and "connector.yaml:1: “title” is missing" in invalid
    assert renamed == "The manifest of “renamed” has the name “sound”."
    assert stripped.startswith("The package of the kind “stripped” has no connector.yaml: ")
    assert "package data" in registry.problems()[3].hint
    assert kind_of("jdbc:mysql://h/d") == "mysql"
    with pytest.raises(ConfigurationInvalid, match="title"):
        parse_url("sound://h/d", "invalid")
    with pytest.raises(DriverMissing, match="connector of sound cannot be imported"):
        registry.connector("sound")


def test_a_third_party_connector_has_its_own_form_of_url(third_party: None) -> None:
    url = parse_url("sound://h:5/d;ssl=true")
    assert (url.kind, url.host, url.port, url.database, url.properties) == ("sound", "h", 5, "d", {"ssl": "true"})
    assert rebuild(url) == "sound://h:5/d;ssl=true"
    for invalid in ("sound://h/d;init=x", "sound://u:p@h/d", "sound://169.254.169.254/d", "sound:///etc/passwd"):
        with pytest.raises(UrlInvalid):
            parse_url(invalid, "sound")
    with pytest.raises(UrlInvalid, match="for sound; the connection's driver is postgresql"):
        parse_url("sound://h/d", "postgresql")


@pytest.mark.parametrize(
    ("scheme", "rest"),
    [
        ("http", "//example.com/api"),
        ("http", "//10.0.0.1/api"),
        ("https", "//user:pw@h/api"),
        ("https", "//169.254.169.254/latest"),
        ("https", "//metadata.google.internal/x"),
        ("https", "//h/../x"),
        ("https", "//h/a/./x"),
        ("https", "//h/a%2Fx"),
        ("https", "//h//x"),
        ("https", "//h/a#b"),
        ("https", "//h/a?token=x"),
        ("https", "//h/a?x=y"),
        ("https", "h/a"),
        ("https", "//a,b/x"),
    ],
)
def test_an_unsafe_url_of_an_http_api_is_refused(scheme: str, rest: str) -> None:
    with pytest.raises(UrlInvalid):
        syntaxes.read_https(rest, "jdbc", scheme)


def test_a_url_of_an_http_api_is_parsed_and_rebuilt() -> None:
    url = syntaxes.read_https("//h.example.com:8443/rest/api/3/", "jdbc", "https")
    assert (url.form, url.host, url.port, url.path, url.is_file) == (
        "https",
        "h.example.com",
        8443,
        "/rest/api/3",
        False,
    )
    assert syntaxes.write_https(url) == "https://h.example.com:8443/rest/api/3"
    local = syntaxes.read_https("//[::1]/", "jdbc", "http")
    assert (local.port_or_default, local.path) == (80, "")
    assert syntaxes.write_https(local) == "http://[::1]"
    assert syntaxes.write_https(ConnectionUrl(kind="x", form="https", host="h")) == "https://h"
