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
from tests.e2e.test_attack_minutes import reconciles_when_served as reconciles

HEALS_S = 90.0
"""Leases pass after at most 15 s, cycles take 5 s, and the machine is shared."""
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
    assert stack.get("/api/status").status_code == httpx.codes.OK, (kind, keys)
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_baseline_breaker_or_switch_engages_and_a_person_releases(
    stack: Stack, kind: str
) -> None:
    parts = stack.parts()
    with store_of(stack) as store:
        for key in TRIPPING:
            damage(store, key, kind)
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
    response = stack.post("/api/kill-switch", body)
    assert response.status_code == httpx.codes.OK, response.text


def wait_until_works(stack: Stack) -> None:
    """Until two cycles of the guard in a row have succeeded, and all parts are healthy."""
    deadline = time.monotonic() + HEALS_S
    cycles, failures = reconciles(stack)
    while True:
        time.sleep(0.5)
        now = reconciles(stack)
        if now[1] != failures:
            cycles, failures = now
        elif now[0] >= cycles + 2 and stack.get("/health").status_code == httpx.codes.OK:
            return
        assert time.monotonic() < deadline, (now, stack.get("/health").text, stack.tail())
