"""Slots of cron expressions, against a daemon that lives through every minute of every clock change."""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connections.sdk.errors import ConfigurationInvalid
from modules.cron_expression import MACROS
from scheduling.cron import expression as cron
from tests.servers import cron_daemon

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    # their clocks change at midnight
    "America/Havana",
    "Africa/Cairo",
    "Asia/Beirut",
)
EXPRESSIONS = (
    "30 2 * * *",
    "0 0 * * *",
    "15,45 0,1,2,3 * * *",
    "59 23 * * *",
    "5 1 * * sun",
    "0 3 1-7 * sun",
    "10 2 */2 * sun",
    "0 */2 * * *",
    "*/15 * * * *",
    "*/20 2 * * *",
    "30 * * * *",
    "* 1-2 * mar-apr,oct-nov sun",
)
# from well before a change to well after it
WINDOW = dt.timedelta(hours=26)
NEAR = dt.timedelta(hours=9)
FIRST, LAST = 2020, 2037


def fired(expression: str, zone: str, start: dt.datetime, end: dt.datetime) -> list[dt.datetime]:
    found = cron.slots(cron.parse(expression), zoneinfo.ZoneInfo(zone), after=start, until=end)
    return [slot.at for slot in found]


def agree(zone: str, expression: str, start: dt.datetime, end: dt.datetime) -> int:
    ours, theirs = fired(expression, zone, start, end), list(cron_daemon.fires(expression, zone, start, end))
    assert ours == theirs, f"{expression} in {zone} from {start} to {end}"
    return len(ours)


@cache
def changes_of_a_year(zone: str) -> list[dt.datetime]:
    return cron_daemon.transitions(zone, 2027, 2027) or [moment("2027-03-28T01:00Z")]


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@pytest.mark.parametrize("zone", ZONES)
def test_around_the_clock_changes_of_a_year_slots_are_the_daemon_s(zone: str) -> None:
    compared = 0
    for change, expression in itertools.product(changes_of_a_year(zone), EXPRESSIONS):
        compared += agree(zone, expression, change - NEAR, change + NEAR)
    assert compared > 100


@pytest.mark.matrix
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_around_every_clock_change_until_2037_slots_are_the_daemon_s(zone: str, expression: str) -> None:
    changes = cron_daemon.transitions(zone, FIRST, LAST)
    assert (len(changes) == 0) if zone == "Asia/Kolkata" else (len(changes) >= 28)
    for change in changes:
        agree(zone, expression, change - WINDOW, change + WINDOW)


@pytest.mark.matrix
@pytest.mark.parametrize("zone", ZONES)
def test_over_a_leap_year_slots_are_the_daemon_s(zone: str) -> None:
    start = moment("2028-01-01T00:00Z")
    for expression in EXPRESSIONS[::4]:
        assert agree(zone, expression, start, start + dt.timedelta(days=366))


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    step = st.tuples(st.one_of(span, st.just("*")), st.integers(1, high)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    part = st.one_of(number.map(str), span, step)
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


def ever(fields: tuple[str, ...]) -> bool:
    try:
        cron.parse(" ".join(fields))
    except ConfigurationInvalid:
        return False
    return True


any_expression = (
    st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).filter(ever).map(" ".join)
)


@settings(max_examples=settings().max_examples * 3 // 5)
@given(expression=any_expression, zone=st.sampled_from(ZONES), change=st.integers(0, 1), hours=st.integers(-30, 6))
def test_any_expression_fires_as_the_daemon_s(expression: str, zone: str, change: int, hours: int) -> None:
    changes = changes_of_a_year(zone)
    start = changes[change % len(changes)] + dt.timedelta(hours=hours)
    agree(zone, expression, start, start + WINDOW)


@pytest.mark.parametrize("minutes", range(-15, 76, 15))
@pytest.mark.parametrize("expression", ["1 1 * * *", "15,45 0,1,2,3 * * *", "0 * * * *"])
def test_a_window_that_begins_in_an_hour_that_comes_twice_repeats_nothing(expression: str, minutes: int) -> None:
    # the clock of New York shows 01:00 to 02:00 again from here
    start = moment("2027-11-07T06:00Z") + dt.timedelta(minutes=minutes)
    agree("America/New_York", expression, start, start + WINDOW)


@pytest.mark.parametrize(
    ("zone", "expression", "start", "expected"),
    [
        # the hour that is not there, and the one that comes twice
        ("Europe/Berlin", "30 2 * * *", "2027-03-27T12:00Z", ["2027-03-28T03:00+02:00", "2027-03-29T02:30+02:00"]),
        ("Europe/Berlin", "30 2 * * *", "2027-10-30T12:00Z", ["2027-10-31T02:30+02:00", "2027-11-01T02:30+01:00"]),
        ("Europe/Berlin", "30 * * * *", "2027-10-31T00:00Z", ["2027-10-31T02:30+02:00", "2027-10-31T02:30+01:00"]),
        ("Europe/Berlin", "0 */2 * * *", "2027-03-27T22:30Z", ["2027-03-28T00:00+01:00", "2027-03-28T04:00+02:00"]),
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2026-10-03T12:00Z",
            ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"],
        ),
        ("America/Havana", "0 0 * * *", "2027-03-13T12:00Z", ["2027-03-14T01:00-04:00", "2027-03-15T00:00-04:00"]),
    ],
)
def test_what_the_clock_does_to_a_slot(zone: str, expression: str, start: str, expected: list[str]) -> None:
    found = cron.slots(cron.parse(expression), zoneinfo.ZoneInfo(zone), after=moment(start))
    assert [slot.at for slot in itertools.islice(found, 2)] == [moment(text) for text in expected]


def test_two_times_in_one_gap_are_one_slot() -> None:
    start = moment("2027-03-28T00:00Z")
    assert fired("0,30 2,3 * * *", "Europe/Berlin", start, start + dt.timedelta(hours=2)) == [
        moment("2027-03-28T03:00+02:00"),
        moment("2027-03-28T03:30+02:00"),
    ]


def test_keys_are_wall_times_for_fixed_times_and_utc_minutes_for_wildcards() -> None:
    start, berlin = moment("2027-10-31T00:00Z"), zoneinfo.ZoneInfo("Europe/Berlin")
    fixed = next(cron.slots(cron.parse("30 2 * * *"), berlin, after=start))
    wild = next(cron.slots(cron.parse("30 * * * *"), berlin, after=start))
    assert (fixed.key, wild.key) == ("2027-10-31T02:30", "2027-10-31T00:30Z")
    assert fixed.at == wild.at == moment("2027-10-31T00:30Z")


@pytest.mark.parametrize("macro", MACROS)
def test_every_short_form_is_the_expression_it_stands_for(macro: str) -> None:
    meant = {
        "@hourly": "0 * * * *",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@weekly": "0 0 * * sun",
        "@monthly": "0 0 1 * *",
        "@yearly": "0 0 1 jan *",
        "@annually": "0 0 1 jan *",
    }[macro]
    assert cron.parse(macro) == cron.parse(meant)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "0 0 4 * * *",
        "@reboot",
        "R R * * *",
        "H H * * *",
        "0 0 31 2 *",
        "60 * * * *",
        "0 0 L * *",
        "0 0 * * sat-mon",
    ],
)
def test_what_cron_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        cron.parse(text)


def test_a_zone_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationInvalid, match="Mars/Olympus"):
        cron.zone_of("Mars/Olympus")


def test_a_leap_day_is_found_from_far_away() -> None:
    slot = next(cron.slots(cron.parse("0 0 29 2 *"), dt.UTC, after=moment("2096-03-01T00:00Z")))
    assert slot.at == moment("2104-02-29T00:00Z")


def test_a_day_that_never_is_ends_instead_of_searching_for_ever() -> None:
    # day and weekday must both fit, since one begins with a star
    assert list(cron.slots(cron.parse("0 * 31 2 */2"), dt.UTC, after=moment("2026-01-01T00:00Z"))) == []
