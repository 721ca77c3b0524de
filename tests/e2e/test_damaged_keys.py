"""Values of a wrong type or content under every key of the store, written by hand."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from sep_fx.granularity import Granularity
from sep_kit.store import keys

from tests.e2e.conftest import Stack
from tests.e2e.test_attack_minutes import reconciles_when_served as reconciles

pytestmark = pytest.mark.timeout(300)

COSTS = "EUR_USD"
"""The instrument whose keys are damaged."""
HEALS_S = 40.0
LEASES = ("evaluator", "allocator", "guard")
SHARED = (
    keys.GATES_BLOB,
    keys.ALLOCATION_WEIGHTS,
    keys.ALLOC_BUDGET,
    keys.KILL_SWITCH_AUDIT,
    keys.BROKER_LINK,
    keys.ORDER_FENCE,
    keys.GUARD_DECISIONS,
    keys.MARGIN_GATE,
    keys.MANAGED_UNITS,
    keys.RISK_ACTIVITY,
    keys.REFUSED_ORDERS,
    keys.RISK_LOCKS,
    keys.TRADE_STOPS,
    keys.OPEN_ORDERS,
    *(keys.lease(name) for name in LEASES),
    *(keys.lease_counter(name) for name in LEASES),
)
OF_AN_INSTRUMENT = (
    keys.candles(COSTS, Granularity.S5),
    keys.candle_coverage(COSTS, Granularity.S5),
    keys.signal_index(COSTS),
    keys.manifold(COSTS),
    *(keys.gate_memory(f, COSTS) for f in ("eligible", "passes", "fails", "misses", "watermark")),
    keys.backtest_summary(COSTS),
    keys.backtest_history(COSTS),
    keys.best_config(COSTS),
)
TRIPPING = (keys.RISK_EQUITY, keys.RISK_BREAKER, keys.KILL_SWITCH)
"""A damaged baseline or breaker trips, and a damaged switch counts as engaged: by the contract."""

Damage = Callable[[Any, str], object]
KINDS: dict[str, Damage] = {
    "hash": lambda store, key: store.hset(key, "a", "1"),
    "list": lambda store, key: store.lpush(key, "x"),
    "empty": lambda store, key: store.set(key, ""),
    "NaN": lambda store, key: store.set(key, "NaN"),
    "garbage": lambda store, key: store.set(key, b"\xff\x00{"),
}


@contextmanager
def store_of(stack: Stack) -> Iterator[Any]:
    url = Path(stack.run_dir / "valkey.url").read_text().strip()
    with redis.Redis.from_url(url) as store:
        yield store


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_values_cost_their_instrument_and_heal(stack: Stack, kind: str) -> None:
    """All at once: the operator's calls are served, no process ends, and cycles go on."""
    parts = stack.parts()
    with store_of(stack) as store:
        for key in (*SHARED, *OF_AN_INSTRUMENT):
            store.delete(key)
            KINDS[kind](store, key)
    engage(stack)
    assert stack.get("/api/status").status_code == httpx.codes.OK
    wait_until_works(stack)
    assert stack.parts() == parts
    others = {
        row["instrument"]
        for row in stack.get("/api/ranking/active").json()["instruments"]
        if row.get("score") is not None
    }
    assert len(others - {COSTS}) >= 5, others


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_baseline_breaker_or_switch_engages_and_a_person_releases(
    stack: Stack, kind: str
) -> None:
    parts = stack.parts()
    with store_of(stack) as store:
        for key in TRIPPING:
            store.delete(key)
            KINDS[kind](store, key)
    assert stack.get("/api/kill-switch").json()["kill_switch"] is True
    engage(stack)
    body = {"kill_switch": False, "reason": "seen", "acknowledge_breaker": True}
    deadline = time.monotonic() + HEALS_S
    # A cycle may still engage it.
    while (released := stack.post("/api/kill-switch", body)).status_code != httpx.codes.OK or (
        stack.get("/api/kill-switch").json()["kill_switch"]
    ):
        assert time.monotonic() < deadline, released.text
        time.sleep(1)
    wait_until_works(stack)
    assert stack.parts() == parts


def engage(stack: Stack) -> None:
    body = {"kill_switch": True, "reason": "a damaged store"}
    assert stack.post("/api/kill-switch", body).status_code == httpx.codes.OK


def wait_until_works(stack: Stack) -> None:
    """Until two cycles of the guard have succeeded, and all parts are healthy."""
    deadline = time.monotonic() + HEALS_S
    cycles, failures = reconciles(stack)
    while True:
        time.sleep(1)
        now = reconciles(stack)
        if now[1] != failures:
            cycles, failures = now
        elif now[0] >= cycles + 2 and stack.get("/health").status_code == httpx.codes.OK:
            return
        assert time.monotonic() < deadline, (now, stack.get("/health").text, stack.tail())
