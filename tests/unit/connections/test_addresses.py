"""Metadata services and system paths are refused in every spelling of the address or path."""

from __future__ import annotations

import ipaddress

import pytest

from connections.sdk.errors import UrlInvalid
from connections.url import addresses
from connections.url.parse import parse_url

# 169.254.169.254 in other spellings that a resolver accepts or embedded in IPv6, and other metadata services
METADATA = [
    "169.254.169.254",
    "169.254.169.254.",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "[::169.254.169.254]",
    "[::a9fe:a9fe]",
    "[::ffff:169.254.169.254]",
    "[::ffff:0:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[64:ff9b:1:a9fe:a9:fe00::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:a9fe:a9fe::1]",
    "[2001:0:102:304::5601:5601]",
    "[2001:db8::5efe:169.254.169.254]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "metadata.google.internal",
    "METADATA.goog.",
    "metadata.azure.internal",
]


@pytest.mark.parametrize("host", METADATA)
def test_a_metadata_service_is_refused_in_every_spelling(host: str) -> None:
    with pytest.raises(UrlInvalid):
        parse_url(f"jdbc:postgresql://{host}/db")


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "127.0.0.1", "[::1]", "[2001:db8::1]", "[fd12:3456::1]", "[64:ff9b::c000:201]", "192.0.2.1"]
)
def test_other_addresses_are_accepted(host: str) -> None:
    assert parse_url(f"jdbc:postgresql://{host}/db").host == host.strip("[]")


@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/environ",
        "/./proc/self/environ",
        "/.//./proc/self/environ",
        "//proc/self/environ",
        "///proc/self/environ",
        "/proc",
        "/proc/",
        "/./proc/..",
        "/data/./../proc/x",
        "/sys/./x",
        "//dev/shm/x",
        "/dev",
        "/data/x/.",
    ],
)
@pytest.mark.parametrize("form", ["jdbc:sqlite:{}", "jdbc:duckdb:{}", "sqlite://{}", "jdbc:h2:file:{}", "{}"])
def test_a_system_path_is_refused_in_every_spelling(form: str, path: str) -> None:
    with pytest.raises(UrlInvalid):
        parse_url(form.format(path), "sqlite" if form == "{}" else "")
    with pytest.raises(UrlInvalid):
        parse_url(path, "postgresql")


def test_a_system_path_is_refused_as_the_value_of_a_tls_property() -> None:
    with pytest.raises(UrlInvalid):
        parse_url("jdbc:postgresql://h/db?sslkey=/proc/self/environ")
    assert parse_url("jdbc:postgresql://h/db?sslkey=/etc/ssl/etl.key").properties == {"sslkey": "/etc/ssl/etl.key"}


@pytest.mark.parametrize("path", ["/data//x.db", "/data/./x.db", "/./data/x.db"])
def test_a_path_is_normalized(path: str) -> None:
    assert parse_url(f"jdbc:sqlite:{path}").path == "/data/x.db"


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("192.0.2.1", False),
        ("8.8.8.8", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
        ("2001:4860:4860::8888", True),
        ("fc00::1", False),
        ("ff02::1", False),
        # site-local, segment routing, unassigned
        ("fec0::1", False),
        ("5f00::1", False),
        ("4000::1", False),
    ],
)
def test_an_address_is_public_only_if_its_embedded_ipv4_address_is_public(text: str, public: bool) -> None:
    assert addresses.is_public(ipaddress.ip_address(text)) is public
