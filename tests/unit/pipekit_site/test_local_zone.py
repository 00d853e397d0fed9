"""The machine's time zone by name, from wherever it is said."""

from __future__ import annotations

import zoneinfo
from pathlib import Path

import pytest
from tzlocal import unix

from pipekit_site import local_zone


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("America/New_York", "America/New_York"),
        (":Asia/Kolkata", "Asia/Kolkata"),
        ("UTC", "UTC"),
        ("GMT", "GMT"),
        ("EST5EDT", "EST5EDT"),
    ],
)
def test_the_variable_wins(monkeypatch: pytest.MonkeyPatch, said: str, zone: str) -> None:
    monkeypatch.setenv("TZ", said)
    assert local_zone.local_zone_name() == zone


@pytest.mark.parametrize("said", ["", "CET-1CEST", "/etc/passwd", "localtime"])
def test_what_is_no_zone_s_name_falls_back_to_the_machine(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("TZ", said)
    monkeypatch.setattr(local_zone, "get_localzone_name", lambda: "Europe/Berlin")
    assert local_zone.local_zone_name() == "Europe/Berlin"


def test_a_link_into_the_zone_directory_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    file, link = tmp_path / "usr/share/zoneinfo/Europe/Vienna", tmp_path / "etc/localtime"
    for path in (file, link):
        path.parent.mkdir(parents=True)
    file.touch()
    link.symlink_to(file)
    assert unix._get_localzone_name(str(tmp_path)) == "Europe/Vienna"  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("said", [None, "", "localtime", "Nowhere/At_All"])
def test_a_machine_that_does_not_say_is_in_utc(monkeypatch: pytest.MonkeyPatch, said: str | None) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(local_zone, "get_localzone_name", lambda: said)
    assert local_zone.local_zone_name() == "UTC"


def test_a_machine_that_contradicts_itself_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    def contradict() -> str:
        raise zoneinfo.ZoneInfoNotFoundError("Multiple conflicting time zone configurations found")

    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(local_zone, "get_localzone_name", contradict)
    assert local_zone.local_zone_name() == "UTC"
