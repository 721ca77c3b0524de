from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sep_fx.sessions import (
    LONDON,
    NEW_YORK,
    NEW_YORK_SESSION,
    SYDNEY,
    TOKYO,
    MarketCalendar,
    SessionCalendar,
    fx_week_open,
    sessions_of,
)

FX = SessionCalendar()
PAIRS = ("EUR_USD", "USD_JPY", "AUD_USD", "AUD_JPY", "EUR_NZD")
MINUTE, DAY, CHUNK = 60, 86_400, 28 * 86_400


def at(text: str, zone: str = "UTC") -> int:
    """Seconds of a local time such as ``2026-03-06 16:58``."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def new_york(text: str) -> int:
    return at(text, "America/New_York")


def is_open(instrument: str, instant: int) -> bool:
    """Whether the instrument is open, by a direct reading of the rules for one instant."""
    here = datetime.fromtimestamp(instant, UTC).astimezone(NEW_YORK)
    if (here.month, here.day) in ((12, 25), (1, 1)) or here.weekday() == 5:
        return False
    if here.weekday() == 6 and here.time() < time(17, 5):
        return False
    if here.weekday() == 4 and here.time() >= time(16, 58):
        return False
    if time(16, 58) <= here.time() < time(17, 5):
        return False
    local = ((s, datetime.fromtimestamp(instant, UTC).astimezone(s.zone))
             for s in sessions_of(instrument))  # fmt: skip
    return any(t.weekday() < 5 and s.opens <= t.time() < s.closes for s, t in local)


INSTRUMENTS = st.sampled_from(PAIRS)
# Sessions change on whole minutes, so the first and last second of each minute cover all cases.
INSTANTS = st.builds(
    lambda minute, second: minute * MINUTE + second,
    st.integers(at("2010-01-01") // MINUTE, at("2037-12-31") // MINUTE),
    st.sampled_from([0, 1, 59]),
)


@pytest.mark.parametrize(
    ("instrument", "sessions"),
    [
        ("EUR_USD", {LONDON, NEW_YORK_SESSION}),
        ("USD_JPY", {LONDON, NEW_YORK_SESSION, TOKYO}),
        ("AUD_USD", {LONDON, NEW_YORK_SESSION, TOKYO, SYDNEY}),
        ("EUR_NZD", {LONDON, NEW_YORK_SESSION, TOKYO, SYDNEY}),
        ("AUD_JPY", {LONDON, NEW_YORK_SESSION, TOKYO, SYDNEY}),
    ],
)
def test_currencies_determine_the_sessions(instrument: str, sessions: set[object]) -> None:
    assert set(sessions_of(instrument)) == sessions


@pytest.mark.parametrize(
    ("instrument", "zone", "opens", "utc"),
    [
        # Summer time in London: 29 March to 25 October.
        ("EUR_USD", "Europe/London", "2026-03-27 08:00", "2026-03-27 08:00"),
        ("EUR_USD", "Europe/London", "2026-03-30 08:00", "2026-03-30 07:00"),
        ("EUR_USD", "Europe/London", "2026-10-23 08:00", "2026-10-23 07:00"),
        ("EUR_USD", "Europe/London", "2026-10-26 08:00", "2026-10-26 08:00"),
        # Tokyo has no summer time.
        ("USD_JPY", "Asia/Tokyo", "2026-01-06 09:00", "2026-01-06 00:00"),
        ("USD_JPY", "Asia/Tokyo", "2026-07-07 09:00", "2026-07-07 00:00"),
    ],
)
def test_the_first_session_opens_in_local_time(
    instrument: str, zone: str, opens: str, utc: str
) -> None:
    edge = at(utc)
    assert edge == at(opens, zone)
    assert not FX.state(instrument, edge - 1).open
    assert FX.state(instrument, edge).open


@pytest.mark.parametrize(
    ("day", "utc"),
    [
        # Summer time in New York: 8 March to 1 November 2026.
        ("2026-03-06", "2026-03-06 21:58"),
        ("2026-03-09", "2026-03-09 20:58"),
        ("2026-10-30", "2026-10-30 20:58"),
        ("2026-11-02", "2026-11-02 21:58"),
    ],
)
def test_the_day_ends_at_16_58_in_new_york(day: str, utc: str) -> None:
    assert new_york(f"{day} 16:58") == at(utc)
    state = FX.state("EUR_USD", at(utc) - 1)
    assert (state.open, state.closes_at) == (True, at(utc))
    assert not FX.state("EUR_USD", at(utc)).open


@pytest.mark.parametrize(
    ("monday", "utc"),
    [
        ("2026-03-30", "2026-03-29 20:00"),  # Sydney in summer time: UTC+11
        ("2026-04-06", "2026-04-05 21:00"),  # winter time: UTC+10
        ("2026-10-05", "2026-10-04 20:00"),  # summer time again
    ],
)
def test_sydney_has_its_own_summer_time(monday: str, utc: str) -> None:
    assert at(f"{monday} 07:00", "Australia/Sydney") == at(utc)
    # The week opens at 17:05 in New York, 21:05 UTC on these days: after Sydney's start.
    assert FX.state("AUD_USD", at(utc) - 1).opens_at == new_york(
        f"{datetime.fromisoformat(monday) - timedelta(days=1):%Y-%m-%d} 17:05"
    )
    # On a Tuesday Sydney is already open when the daily break begins in New York.
    tuesday = at(utc) + DAY
    assert "Sydney" in FX.state("AUD_USD", max(tuesday, new_york(f"{monday} 17:05"))).active
    assert "Sydney" not in FX.state("AUD_USD", tuesday + 9 * 3600).active


def test_in_january_sydney_opens_before_the_break_and_the_stretches_stay_apart() -> None:
    # 07:00 in Sydney is 15:00 in New York: open until the break, and from its end on.
    before, after = FX.stretches(
        "AUD_USD", new_york("2026-01-13 16:00"), new_york("2026-01-13 18:00")
    )
    assert before[1] == new_york("2026-01-13 16:58")
    assert after[0] == new_york("2026-01-13 17:05")


def test_the_market_pauses_every_day_from_16_58_to_17_05_in_new_york() -> None:
    for day in ("2026-01-13", "2026-03-10", "2026-07-15", "2026-11-03"):
        start, end = new_york(f"{day} 16:58"), new_york(f"{day} 17:05")
        assert [fx_week_open(t) for t in (start - 1, start, end - 1, end)] == [
            True, False, False, True,
        ]  # fmt: skip


@pytest.mark.parametrize("sunday", ["2026-01-11", "2026-03-08", "2026-07-12", "2026-11-01"])
def test_the_week_runs_from_sunday_17_05_to_friday_16_58_in_new_york(sunday: str) -> None:
    opens = new_york(f"{sunday} 17:05")
    friday = datetime.fromisoformat(sunday) + timedelta(days=5)
    closes = new_york(f"{friday:%Y-%m-%d} 16:58")
    assert [fx_week_open(t) for t in (opens - 1, opens, closes - 1, closes)] == [
        False, True, True, False,
    ]  # fmt: skip
    saturday_noon = closes + 19 * 3600
    assert not fx_week_open(saturday_noon)
    state = FX.state("AUD_JPY", saturday_noon)
    # While closed, the next opening is the start of the week: Sydney is open by then.
    assert (state.open, state.closes_at, state.active) == (False, None, ())
    assert state.opens_at == new_york(f"{friday + timedelta(days=2):%Y-%m-%d} 17:05")


@pytest.mark.parametrize("holiday", ["2025-12-25", "2026-01-01", "2023-12-25", "2024-01-01"])
def test_holidays_last_from_midnight_to_midnight_in_new_york(holiday: str) -> None:
    midnight = new_york(f"{holiday} 00:00")
    next_midnight = midnight + DAY
    for pair in PAIRS:
        assert not any(FX.stretches(pair, midnight, next_midnight))
    assert not fx_week_open(midnight)
    assert not fx_week_open(next_midnight - 1)
    assert fx_week_open(next_midnight)


def test_the_evening_before_a_holiday_is_open_and_ends_at_midnight() -> None:
    # Sydney and Tokyo trade while it is still 24 December in New York.
    state = FX.state("AUD_JPY", new_york("2025-12-24 19:00"))
    assert state.closes_at == new_york("2025-12-25 00:00")
    # The day after opens at midnight, with Tokyo.
    assert FX.state("AUD_JPY", new_york("2025-12-25 12:00")).opens_at == new_york(
        "2025-12-26 00:00"
    )


def test_a_holiday_on_a_sunday_delays_the_week_to_midnight() -> None:
    assert not fx_week_open(new_york("2022-12-25 18:00"))
    assert not fx_week_open(new_york("2023-01-01 23:59"))
    assert fx_week_open(new_york("2023-01-02 00:00"))


def test_adjacent_and_overlapping_sessions_form_one_stretch() -> None:
    # Sydney, Tokyo, London and New York follow each other without a gap.
    (stretch,) = FX.stretches("AUD_USD", at("2026-07-15 01:00"), at("2026-07-15 12:00"))
    assert stretch == (new_york("2026-07-14 17:05"), new_york("2026-07-15 16:58"))
    # 17:00 in London is not a close while New York is open.
    assert FX.state("EUR_USD", at("2026-07-15 16:30", "Europe/London")).closes_at == new_york(
        "2026-07-15 16:58"
    )


def test_without_sydney_yen_opens_with_tokyo() -> None:
    day = FX.stretches("USD_JPY", new_york("2026-07-14 17:00"), new_york("2026-07-15 17:00"))
    assert day == ((at("2026-07-15 00:00"), new_york("2026-07-15 16:58")),)


def test_yen_stays_open_between_tokyo_and_london_all_year() -> None:
    for day in ("2026-01-14", "2026-07-15"):
        noon = at(f"{day} 08:30")
        assert FX.state("USD_JPY", noon).closes_at == new_york(f"{day} 16:58")


def test_the_active_sessions_are_named() -> None:
    assert FX.state("EUR_USD", at("2026-07-15 13:00")).active == ("London", "New York")
    assert FX.state("AUD_USD", at("2026-07-15 02:00")).active == ("Tokyo", "Sydney")


@pytest.mark.parametrize(
    ("before_close", "exit_minutes", "near"),
    [
        (301, 5, False),
        (300, 5, True),
        (1, 5, True),
        (1, 0, False),
        (30, 0.5, True),
        (31, 0.5, False),
        (0, 5, False),
    ],
)
def test_near_close_spans_the_exit_minutes_before_the_close(
    before_close: int, exit_minutes: float, near: bool
) -> None:
    instant = new_york("2026-03-06 16:58") - before_close
    assert FX.state("EUR_USD", instant).near_close(instant, exit_minutes) is near


@pytest.mark.parametrize(
    "calendar",
    [SessionCalendar(MarketCalendar.ALWAYS), SessionCalendar(MarketCalendar.FX, gating=False)],
)
def test_a_market_that_never_closes_is_never_near_its_close(calendar: SessionCalendar) -> None:
    for instant in (at("2026-12-25 12:00"), at("2026-03-07 12:00"), at("2026-03-04 21:59")):
        state = calendar.state("EUR_USD", instant)
        assert (state.open, state.opens_at) == (True, None)
        assert not state.near_close(instant, 240)
        assert calendar.stretches("EUR_USD", instant, instant + 1)[0][0] < 0
        left = calendar.seconds_to_close("EUR_USD", np.array([instant], np.int64))
        assert left[0] == state.seconds_to_close(instant) > 400 * DAY  # type: ignore[operator]


@given(INSTRUMENTS, INSTANTS)
@example("AUD_USD", at("2026-04-05 20:30"))
@example("USD_JPY", new_york("2025-12-25 00:00") - 1)
def test_the_state_matches_the_definition(instrument: str, instant: int) -> None:
    state = FX.state(instrument, instant)
    assert state.open is is_open(instrument, instant)
    if state.open:
        assert state.closes_at is not None
        assert state.closes_at > instant
        assert is_open(instrument, state.closes_at - 1)
        assert not is_open(instrument, state.closes_at)
        assert all(is_open(instrument, t) for t in range(instant, state.closes_at, 900))
    else:
        assert state.opens_at is not None
        assert state.opens_at > instant
        assert not is_open(instrument, state.opens_at - 1)
        assert is_open(instrument, state.opens_at)
        assert not any(is_open(instrument, t) for t in range(instant, state.opens_at, 900))


@given(INSTRUMENTS, st.lists(INSTANTS, max_size=30).map(sorted))
def test_seconds_to_close_of_an_array_matches_each_instant(
    instrument: str, instants: list[int]
) -> None:
    times = np.array(instants, np.int64)
    each = [FX.state(instrument, t).seconds_to_close(t) or 0 for t in instants]
    assert list(FX.seconds_to_close(instrument, times)) == each


@given(INSTRUMENTS, INSTANTS, st.lists(st.integers(0, 5 * DAY), max_size=40).map(sorted))
def test_seconds_to_close_of_a_few_days_match_each_instant(
    instrument: str, start: int, offsets: list[int]
) -> None:
    times = np.array([start + o for o in offsets], np.int64)
    each = [FX.state(instrument, int(t)).seconds_to_close(int(t)) or 0 for t in times]
    assert list(FX.seconds_to_close(instrument, times)) == each


@given(INSTRUMENTS, st.integers(at("2010-01-01") // CHUNK, at("2037-01-01") // CHUNK),
       st.integers(-2 * DAY, 2 * DAY))  # fmt: skip
def test_stretches_are_not_cut_at_the_boundary_of_two_chunks(
    instrument: str, chunk: int, offset: int
) -> None:
    instant = chunk * CHUNK + offset
    # In a range of months the boundary lies inside; in a range of a second, at its end.
    wide = FX.stretches(instrument, instant - 40 * DAY, instant + 40 * DAY)
    narrow = FX.stretches(instrument, instant, instant + 1)
    assert narrow == tuple(s for s in wide if s[0] <= instant < s[1])
    state = FX.state(instrument, instant)
    assert state.closes_at == (narrow[0][1] if narrow else None)


@given(INSTRUMENTS, INSTANTS, st.integers(1, 100 * DAY))
def test_stretches_are_ordered_disjoint_and_overlap_their_range(
    instrument: str, start: int, length: int
) -> None:
    found = FX.stretches(instrument, start, start + length)
    assert all(a < b for a, b in found)
    assert all(left[1] < right[0] for left, right in pairwise(found))
    assert all(a < start + length and b > start for a, b in found)


@given(INSTANTS)
def test_the_market_is_open_while_any_instrument_is(instant: int) -> None:
    if any(FX.state(pair, instant).open for pair in PAIRS):
        assert fx_week_open(instant)
