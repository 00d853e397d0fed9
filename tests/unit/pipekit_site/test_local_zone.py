"""The name of the local time zone, from the environment or the machine's configuration."""

from __future__ import annotations

import zoneinfo

import pytest

from pipekit_site import local_zone


@pytest.mark.parametrize(
    ("value", "zone"),
    [
        ("America/New_York", "America/New_York"),
        (":Asia/Kolkata", "Asia/Kolkata"),
        ("UTC", "UTC"),
        ("GMT", "GMT"),
        ("EST5EDT", "EST5EDT"),
    ],
)
def test_the_variable_tz_takes_precedence(monkeypatch: pytest.MonkeyPatch, value: str, zone: str) -> None:
    monkeypatch.setenv("TZ", value)
    assert local_zone.local_zone_name() == zone


@pytest.mark.parametrize("value", ["", "CET-1CEST", "/etc/passwd", "localtime"])
def test_the_variable_tz_is_ignored_unless_it_names_a_zone(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TZ", value)
    monkeypatch.setattr(local_zone, "get_localzone_name", lambda: "Europe/Berlin")
    assert local_zone.local_zone_name() == "Europe/Berlin"


def test_without_the_variable_tz_the_zone_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(local_zone, "get_localzone_name", lambda: "Europe/Vienna")
    assert local_zone.local_zone_name() == "Europe/Vienna"


@pytest.mark.parametrize("name", [None, "", "localtime", "Nowhere/At_All"])
def test_the_zone_is_utc_if_the_machine_has_none(monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(local_zone, "get_localzone_name", lambda: name)
    assert local_zone.local_zone_name() == "UTC"


def test_the_zone_is_utc_if_the_configuration_is_contradictory(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_conflict() -> str:
        raise zoneinfo.ZoneInfoNotFoundError("Multiple conflicting time zone configurations found")

    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(local_zone, "get_localzone_name", raise_conflict)
    assert local_zone.local_zone_name() == "UTC"
