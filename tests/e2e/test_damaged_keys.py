"""Values of a wrong type or content under every key of the store, written by hand.

Each kind of damage is done to all keys at once. ``DAMAGE_EACH=1`` does it to one key after the
other instead, and waits each time until the stack works again (about half an hour).
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import Stack
from tests.e2e.damage import (
    COSTS,
    KINDS,
    OF_AN_INSTRUMENT,
    OF_LEASES,
    SHARED,
    TRIPPING,
    damage,
)

HEALS_S = 90.0
"""Leases pass after at most 15 s, cycles take 5 s, and the machine is shared."""
LOOPS = (
    ("gateway", "candles"),
    ("evaluator", "candles"),
    ("evaluator", "evaluation"),
    ("allocator", "allocation"),
    ("guard", "reconcile"),
)
ALL = (*SHARED, *OF_LEASES, *OF_AN_INSTRUMENT)
pytestmark = pytest.mark.timeout(1800 if os.environ.get("DAMAGE_EACH") else 400)


@contextmanager
def store_of(stack: Stack) -> Iterator[Any]:
    url = Path(stack.run_dir / "valkey.url").read_text().strip()
    with redis.Redis.from_url(url) as store:
        yield store


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_values_cost_their_instrument_and_heal(stack: Stack, kind: str) -> None:
    """The operator's calls are served, no process ends, and cycles go on."""
    parts = stack.parts()
    with store_of(stack) as store:
        for keys in ([key] for key in ALL) if os.environ.get("DAMAGE_EACH") else [ALL]:
            for key in keys:
                damage(store, key, kind)
            seconds = heals(stack, kind, keys)
            print(f"\n{kind}: {', '.join(keys[:1])} ({len(keys)}): works after {seconds:.1f} s")
    assert stack.parts() == parts


def heals(stack: Stack, kind: str, keys: object) -> float:
    """Until the stack works, with at most the one instrument missing."""
    started = time.monotonic()
    engage(stack)
    stack.read("/api/status", within_s=20)
    wait_until_works(stack)
    while len(scored(stack) - {COSTS}) < 7:
        assert time.monotonic() - started < HEALS_S, (kind, keys, stack.tail())
        time.sleep(0.5)
    return time.monotonic() - started


def scored(stack: Stack) -> set[str]:
    response = stack.get("/api/ranking/active")
    if response.status_code != httpx.codes.OK:
        return set()
    return {r["instrument"] for r in response.json()["ranking"] if r.get("score") is not None}


@pytest.mark.parametrize("kind", ["list", "NaN", "field types"])
def test_a_damaged_baseline_breaker_or_switch_engages_and_a_person_releases(
    stack: Stack, kind: str
) -> None:
    parts = stack.parts()
    with store_of(stack) as store:
        for key in TRIPPING:
            damage(store, key, kind)
    assert stack.read("/api/kill-switch")["kill_switch"] is True
    engage(stack)
    body = {"kill_switch": False, "reason": "seen", "acknowledge_breaker": True}
    deadline = time.monotonic() + HEALS_S
    # A cycle may still engage it.
    while (released := stack.post("/api/kill-switch", body)).status_code != httpx.codes.OK or (
        stack.read("/api/kill-switch")["kill_switch"]
    ):
        assert time.monotonic() < deadline, released.text
        time.sleep(1)
    wait_until_works(stack)
    assert stack.parts() == parts


def engage(stack: Stack) -> None:
    body = {"kill_switch": True, "reason": "a damaged store"}
    response = stack.post("/api/kill-switch", body)
    assert response.status_code == httpx.codes.OK, response.text


def wait_until_works(stack: Stack) -> None:
    """Until each loop has run twice in a row without a failure, and all parts are healthy."""
    deadline = time.monotonic() + HEALS_S
    before = loops(stack)
    while True:
        time.sleep(0.5)
        now = loops(stack)
        # The first that ends may have begun before the damage.
        again = [loop for loop in LOOPS if now[loop][0] < before[loop][0] + 3]
        failed = [loop for loop in LOOPS if now[loop][1] != before[loop][1]]
        if failed:
            before = now
        elif not again and stack.get("/health").status_code == httpx.codes.OK:
            return
        assert time.monotonic() < deadline, (
            f"loops {again} failures {failed}: {stack.get('/health').text}\n{stack.tail()}"
        )


def loops(stack: Stack) -> dict[tuple[str, str], tuple[float, float]]:
    """Ticks so far and failures by service and loop."""
    deadline = time.monotonic() + HEALS_S
    while (response := stack.get("/metrics")).status_code != httpx.codes.OK or not (
        found := _loops(response.text)
    ):
        assert time.monotonic() < deadline, response.text
        time.sleep(0.5)
    return found


def _loops(metrics: str) -> dict[tuple[str, str], tuple[float, float]]:
    values = {
        (sample.name, sample.labels["service"], sample.labels["loop"]): sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if "loop" in sample.labels
    }
    ticks, failures = "sep_loop_duration_seconds_count", "sep_loop_failures_total"
    if not all((ticks, *loop) in values for loop in LOOPS):
        return {}  # a part does not answer at the moment
    return {loop: (values[ticks, *loop], values.get((failures, *loop), 0.0)) for loop in LOOPS}
