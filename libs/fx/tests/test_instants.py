from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_fx.instants import (
    NS_PER_SECOND,
    format_rfc3339,
    format_seconds,
    parse_day_or_time,
    parse_rfc3339,
)

FIRST = int(datetime(1, 1, 2, tzinfo=UTC).timestamp())
LAST = int(datetime(9999, 12, 30, tzinfo=UTC).timestamp())
SECONDS = st.integers(FIRST, LAST)
NANOSECONDS = st.integers(FIRST * NS_PER_SECOND, LAST * NS_PER_SECOND)


def test_nine_fractional_digits_are_preserved() -> None:
    instant = parse_rfc3339("2014-05-01T00:00:00.123456789Z")
    assert instant == 1_398_902_400_123_456_789
    assert format_rfc3339(instant) == "2014-05-01T00:00:00.123456789Z"


@pytest.mark.parametrize(
    ("fraction", "nanoseconds"),
    [("", 0), (".1", 100_000_000), (".000000001", 1), (".12345678", 123_456_780)],
)
def test_a_fraction_counts_from_its_first_digit(fraction: str, nanoseconds: int) -> None:
    whole = parse_rfc3339("2026-03-04T12:00:00Z")
    assert parse_rfc3339(f"2026-03-04T12:00:00{fraction}Z") == whole + nanoseconds


@pytest.mark.parametrize(
    "same", ["2026-03-04T14:30:00+02:30", "2026-03-04T07:00:00-05:00", "2026-03-05T11:59:00+23:59"]
)
def test_an_offset_is_subtracted(same: str) -> None:
    assert parse_rfc3339(same) == parse_rfc3339("2026-03-04T12:00:00Z")


def test_instants_before_the_epoch_are_negative() -> None:
    assert parse_rfc3339("1969-12-31T23:59:59.999999999Z") == -1
    assert format_rfc3339(-1) == "1969-12-31T23:59:59.999999999Z"


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "now",
        "1398902400",
        "2014-05-01",
        "2014-05-01 00:00:00Z",
        "2014-05-01T00:00:00",
        "2014-05-01T00:00Z",
        "2014-05-01T00:00:00.Z",
        "2014-05-01T00:00:00.1234567890Z",
        "2014-05-01T00:00:00Z\n",
        " 2014-05-01T00:00:00Z",
        "2014-02-29T00:00:00Z",
        "2014-13-01T00:00:00Z",
        "2014-05-01T24:00:00Z",
        "2014-05-01T00:60:00Z",
        "2014-05-01T00:00:60Z",
        "0000-05-01T00:00:00Z",
        "2014-05-01T00:00:00+24:00",
        "2014-05-01T00:00:00+00:60",
        "2014-05-01T00:00:00+99:99",
        "٢٠١٤-05-01T00:00:00Z",
    ],
)
def test_invalid_times_are_refused(nonsense: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message comes from different parsers
        parse_rfc3339(nonsense)


@given(NANOSECONDS)
def test_an_instant_round_trips_through_its_text(instant: int) -> None:
    assert parse_rfc3339(format_rfc3339(instant)) == instant


@given(SECONDS)
def test_a_whole_second_round_trips_through_its_text(instant: int) -> None:
    assert parse_rfc3339(format_seconds(instant)) == instant * NS_PER_SECOND


@given(NANOSECONDS, st.integers(0, 23), st.integers(0, 59), st.sampled_from("+-"))
def test_an_offset_only_shifts_the_instant(
    instant: int, hours: int, minutes: int, sign: str
) -> None:
    text = format_rfc3339(instant).removesuffix("Z") + f"{sign}{hours:02d}:{minutes:02d}"
    offset = (hours * 60 + minutes) * 60 * NS_PER_SECOND
    assert parse_rfc3339(text) == instant + (-offset if sign == "+" else offset)


@given(st.text(max_size=40))
def test_any_text_parses_or_raises_value_error(text: str) -> None:
    try:
        parse_rfc3339(text)
    except ValueError:
        return


def test_a_day_stands_for_its_start_and_a_time_for_itself() -> None:
    start = parse_day_or_time("2014-05-01")
    assert start == parse_rfc3339("2014-05-01T00:00:00Z") // NS_PER_SECOND
    assert parse_day_or_time("2014-05-01T10:07:00Z") == start + 10 * 3600 + 7 * 60


@pytest.mark.parametrize("nonsense", ["2014-05-32", "2014-5-1", "yesterday!", ""])
def test_what_is_neither_a_day_nor_a_time_is_refused(nonsense: str) -> None:
    with pytest.raises(ValueError, match=r"is not an RFC 3339 time|day is out of range"):
        parse_day_or_time(nonsense)
