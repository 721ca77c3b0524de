"""Which candles a warm-up finds missing."""

from datetime import UTC, datetime

import pytest
import redis
from candle_history import History
from sep_fx.granularity import Granularity
from sep_fx.sessions import fx_week_open
from sep_testing.eventually import eventually

from tests.operations.desk import Desk

WARM_UP = (".venv/bin/python", "scripts/ops/warmup_orchestrator.py", "--steps", "backfill")


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


def test_long_histories_are_looked_through_day_by_day() -> None:
    found = slots("2024-05-15T12:00", Granularity.M1, 90)
    days = {datetime.fromtimestamp(start, UTC) for start, _ in found}
    assert len(found) == len(days) > 70
    assert {day.hour for day in days} == {0}
    assert 5 not in {day.weekday() for day in days}


def test_new_yorks_christmas_needs_none() -> None:
    found = slots("2024-12-27T12:00", Granularity.S5, 4)
    assert not [s for s, _ in found if at("2024-12-25T05:00") <= s < at("2024-12-26T05:00")]


@pytest.mark.parametrize("granularity", Granularity)
def test_a_slot_is_no_shorter_than_a_bar(granularity: Granularity) -> None:
    for start, end in slots("2024-05-15T12:00", granularity, 30):
        assert end - start >= max(3600, granularity.seconds)
        assert start % 3600 == 0


def fetches(desk: Desk) -> float:
    metrics = desk.stack.get("/metrics").text.splitlines()
    lines = [x for x in metrics if x.startswith("sep_grpc_requests_total{")]
    return sum(float(x.rpartition(" ")[2]) for x in lines if "FetchCandles" in x)


def fetch(desk: Desk) -> float:
    """How many fetches a warm-up made for a little more than is listed at once."""
    before = fetches(desk)
    history = ("--granularity", "M1", "--count", "5100")
    code, output = desk.run(*WARM_UP, "--pairs", "EUR_GBP", *history)
    assert code == 0, output
    return fetches(desk) - before


@pytest.mark.timeout(240)
async def test_a_hole_in_a_long_history_is_found_and_filled(desk: Desk) -> None:
    """A read may be a second old, and so may be what a warm-up knows."""
    assert fetch(desk) >= 1
    await eventually(lambda: fetch(desk) == 0, within_s=60)
    key = "md:candles:EUR_GBP:M1"
    with redis.Redis(port=desk.stack.port + 1, decode_responses=True) as store:
        chunks = sorted((f for f in store.hkeys(key) if f.isdigit()), key=int)
        # A whole day each; over a weekend nothing is missed.
        traded = next(c for c in chunks[1:-1] if fx_week_open(int(c) + 12 * 3600))
        assert store.hdel(key, traded) == 1
    await eventually(lambda: fetch(desk) >= 1, within_s=60)
    await eventually(lambda: fetch(desk) == 0, within_s=60)
