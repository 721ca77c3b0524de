"""Which slots of a history must hold a candle."""

from datetime import UTC, datetime

import pytest
from sep_fx.granularity import Granularity
from sep_ops.candle_history import History


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def slots(now: str, granularity: Granularity, days: int) -> list[tuple[int, int]]:
    history = History.of_days(granularity, days, at(now), always=True)
    return list(history.slots(at(now)))


def test_a_weekend_needs_no_candles() -> None:
    found = slots("2024-05-12T12:00", Granularity.S5, 2)
    assert found[0] == (at("2024-05-10T13:00"), at("2024-05-10T14:00"))
    assert found[-1] == (at("2024-05-10T19:00"), at("2024-05-10T20:00"))
    assert slots("2024-05-12T12:00", Granularity.S5, 1) == []


def test_a_long_history_has_daily_slots() -> None:
    found = slots("2024-05-15T12:00", Granularity.M1, 90)
    days = {datetime.fromtimestamp(start, UTC) for start, _ in found}
    assert len(found) == len(days) > 70
    assert {day.hour for day in days} == {0}
    assert 5 not in {day.weekday() for day in days}


def test_christmas_in_new_york_needs_no_candles() -> None:
    found = slots("2024-12-27T12:00", Granularity.S5, 4)
    assert not [s for s, _ in found if at("2024-12-25T05:00") <= s < at("2024-12-26T05:00")]


@pytest.mark.parametrize("granularity", Granularity)
def test_a_slot_is_at_least_as_long_as_a_bar(granularity: Granularity) -> None:
    for start, end in slots("2024-05-15T12:00", granularity, 30):
        assert end - start >= max(3600, granularity.seconds)
        assert start % 3600 == 0
