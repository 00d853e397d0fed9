"""Slots of cron expressions, compared with a simulated cron daemon that evaluates every minute."""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connections.sdk.errors import ConfigurationInvalid
from modules.cron import expression as cron
from modules.cron.grammar import MACROS
from tests.servers import cron_daemon

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    # the clocks change at midnight
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
# hours that are compared before and after a clock change; a day and more for one year
NEAR = dt.timedelta(hours=9)
WINDOW = dt.timedelta(hours=26)
FIRST_YEAR, LAST_YEAR = 2020, 2037


def slot_times(expression: str, zone: str, start: dt.datetime, end: dt.datetime) -> list[dt.datetime]:
    slots = cron.slots(cron.parse(expression), zoneinfo.ZoneInfo(zone), after=start, until=end)
    return [slot.at for slot in slots]


def assert_same_slots(zone: str, expression: str, start: dt.datetime, end: dt.datetime) -> int:
    """Compare the slots with those of the daemon; return their number."""
    times, expected = slot_times(expression, zone, start, end), list(cron_daemon.fires(expression, zone, start, end))
    assert times == expected, f"{expression} in {zone} from {start} to {end}"
    return len(times)


@cache
def clock_changes(zone: str, first_year: int, last_year: int) -> list[dt.datetime]:
    """Return the clock changes of the years, or an arbitrary time if there are none."""
    return cron_daemon.transitions(zone, first_year, last_year) or [timestamp("2027-03-28T01:00Z")]


def timestamp(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("zone", ZONES)
def test_slots_around_the_clock_changes_of_2027_equal_those_of_the_daemon(zone: str) -> None:
    slot_count = 0
    for change, expression in itertools.product(clock_changes(zone, 2027, 2027), EXPRESSIONS):
        slot_count += assert_same_slots(zone, expression, change - NEAR, change + NEAR)
    assert slot_count > 100


@pytest.mark.matrix
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_slots_around_every_clock_change_from_2020_to_2037_equal_those_of_the_daemon(
    zone: str, expression: str
) -> None:
    changes = clock_changes(zone, FIRST_YEAR, LAST_YEAR)
    assert (len(changes) == 1) if zone == "Asia/Kolkata" else (len(changes) >= 28)
    for change in changes:
        hours = WINDOW if change.year == 2027 else NEAR
        assert_same_slots(zone, expression, change - hours, change + hours)


@pytest.mark.matrix
@pytest.mark.parametrize("zone", ZONES[:5:2])
def test_slots_of_a_leap_year_equal_those_of_the_daemon(zone: str) -> None:
    start = timestamp("2028-01-01T00:00Z")
    for expression in EXPRESSIONS[::4]:
        assert assert_same_slots(zone, expression, start, start + dt.timedelta(days=366))


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    step = st.tuples(st.one_of(span, st.just("*")), st.integers(1, high)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    part = st.one_of(number.map(str), span, step)
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


def can_fire(fields: tuple[str, ...]) -> bool:
    try:
        cron.parse(" ".join(fields))
    except ConfigurationInvalid:
        return False
    return True


any_expression = (
    st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).filter(can_fire).map(" ".join)
)


@settings(max_examples=settings().max_examples * 3 // 5)
@given(expression=any_expression, zone=st.sampled_from(ZONES), change=st.integers(0, 1), hours=st.integers(-30, 6))
def test_slots_of_any_expression_equal_those_of_the_daemon(expression: str, zone: str, change: int, hours: int) -> None:
    changes = clock_changes(zone, 2027, 2027)
    start = changes[change % len(changes)] + dt.timedelta(hours=hours)
    assert_same_slots(zone, expression, start, start + WINDOW)


@pytest.mark.parametrize("minutes", range(-15, 76, 15))
@pytest.mark.parametrize("expression", ["1 1 * * *", "15,45 0,1,2,3 * * *", "0 * * * *"])
def test_no_slot_is_repeated_if_the_window_begins_in_a_repeated_hour(expression: str, minutes: int) -> None:
    # clocks in New York show 01:00 to 02:00 for the second time
    start = timestamp("2027-11-07T06:00Z") + dt.timedelta(minutes=minutes)
    assert_same_slots("America/New_York", expression, start, start + WINDOW)


@pytest.mark.parametrize(
    ("zone", "expression", "start", "expected"),
    [
        # a skipped hour, and a repeated one
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
def test_a_slot_in_a_skipped_or_repeated_hour_fires_as_by_cron(
    zone: str, expression: str, start: str, expected: list[str]
) -> None:
    slots = cron.slots(cron.parse(expression), zoneinfo.ZoneInfo(zone), after=timestamp(start))
    assert [slot.at for slot in itertools.islice(slots, 2)] == [timestamp(text) for text in expected]


def test_two_times_in_a_skipped_hour_are_one_slot() -> None:
    start = timestamp("2027-03-28T00:00Z")
    assert slot_times("0,30 2,3 * * *", "Europe/Berlin", start, start + dt.timedelta(hours=2)) == [
        timestamp("2027-03-28T03:00+02:00"),
        timestamp("2027-03-28T03:30+02:00"),
    ]


def test_slot_keys_are_local_times_for_fixed_hours_and_utc_minutes_for_wildcards() -> None:
    start, berlin = timestamp("2027-10-31T00:00Z"), zoneinfo.ZoneInfo("Europe/Berlin")
    fixed = next(cron.slots(cron.parse("30 2 * * *"), berlin, after=start))
    wildcard = next(cron.slots(cron.parse("30 * * * *"), berlin, after=start))
    assert (fixed.key, wildcard.key) == ("2027-10-31T02:30", "2027-10-31T00:30Z")
    assert fixed.at == wildcard.at == timestamp("2027-10-31T00:30Z")


@pytest.mark.parametrize("macro", MACROS)
def test_a_macro_is_parsed_as_its_expression(macro: str) -> None:
    expression = {
        "@hourly": "0 * * * *",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@weekly": "0 0 * * sun",
        "@monthly": "0 0 1 * *",
        "@yearly": "0 0 1 jan *",
        "@annually": "0 0 1 jan *",
    }[macro]
    assert cron.parse(macro) == cron.parse(expression)


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
def test_an_expression_that_cron_does_not_accept_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        cron.parse(text)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ConfigurationInvalid, match="Mars/Olympus"):
        cron.zone_of("Mars/Olympus")


def test_a_leap_day_is_found_eight_years_ahead() -> None:
    slot = next(cron.slots(cron.parse("0 0 29 2 *"), dt.UTC, after=timestamp("2096-03-01T00:00Z")))
    assert slot.at == timestamp("2104-02-29T00:00Z")


def test_the_search_for_a_day_that_does_not_exist_ends() -> None:
    # day and weekday must both match, because one of them begins with a star
    assert list(cron.slots(cron.parse("0 * 31 2 */2"), dt.UTC, after=timestamp("2026-01-01T00:00Z"))) == []
