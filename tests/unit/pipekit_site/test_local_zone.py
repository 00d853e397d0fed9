"""The machine's time zone by name, from wherever it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipekit_site import local_zone


@pytest.mark.parametrize(
    ("said", "zone"), [("America/New_York", "America/New_York"), (":Asia/Kolkata", "Asia/Kolkata"), ("UTC", "UTC")]
)
def test_the_variable_wins(monkeypatch: pytest.MonkeyPatch, said: str, zone: str) -> None:
    monkeypatch.setenv("TZ", said)
    assert local_zone.local_zone_name() == zone


@pytest.mark.parametrize("said", ["", "CET-1CEST", "/etc/passwd", "localtime"])
def test_what_is_no_zone_s_name_falls_back_to_the_machine(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("TZ", said)
    monkeypatch.setattr(local_zone, "_from_link", lambda file: "Europe/Berlin")
    assert local_zone.local_zone_name() == "Europe/Berlin"


def test_a_link_into_the_zone_directory_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/Europe/Vienna")
    assert local_zone._from_link(link) == "Europe/Vienna"


def test_a_machine_that_does_not_say_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(local_zone, "_from_link", lambda file: "")
    monkeypatch.setattr(local_zone, "_from_file", lambda file: "")
    assert local_zone.local_zone_name() == "UTC"
