"""Orders of a replaced writer, and entries decided too long ago, are not sent."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_gateway.domain.order_age import AHEAD_S, age_fault
from sep_kit.clock import SystemClock, now_ms
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_paper_broker.app import RunningBroker
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from .orders import FILLED, close_trade, fills, open_trades, place, reason_of, set_stop


def ago(seconds: float) -> float:
    return now_ms(SystemClock()) - seconds * 1000


@given(st.floats(1, 60), st.floats(0, 1e5))
def test_age_alone_decides(max_age_s: float, age_s: float) -> None:
    now = 2e12
    fault = age_fault(now - age_s * 1000, now, max_age_s)
    if abs(age_s - max_age_s) > 1e-3:
        assert (fault is not None) is (age_s > max_age_s)
    assert age_fault(0, now, max_age_s) is None
    assert age_fault(now + (AHEAD_S + 1) * 1000, now, max_age_s)


async def test_older_token_is_refused_for_every_order(gateway: Any, broker: RunningBroker) -> None:
    assert (await place(gateway, "an-order-1", fencing_token=5)).state == FILLED
    (trade,) = (await open_trades(gateway)).trades
    assert await reason_of(place(gateway, "an-order-2", fencing_token=4)) == "STALE_TOKEN"
    reduction = place(gateway, "an-order-3", "-50", reduce_only=True, fencing_token=4)
    assert await reason_of(reduction) == "STALE_TOKEN"
    closing = close_trade(gateway, trade.id, "a-close-1", fencing_token=4)
    assert await reason_of(closing) == "STALE_TOKEN"
    assert await reason_of(set_stop(gateway, trade.id, "0.5", fencing_token=4)) == "STALE_TOKEN"
    assert sum(fills(broker).values()) == 1
    for number, token in (("4", 5), ("5", 6)):
        assert (await place(gateway, f"an-order-{number}", fencing_token=token)).state == FILLED


async def test_newest_token_survives_a_restart(start_gateway: Any, store: Valkey) -> None:
    async with start_gateway() as gateway:
        await place(gateway, "an-order-1", fencing_token=1_800_000_000_007)
    assert await reply(store.get(keys.ORDER_FENCE)) == b"1800000000007"
    async with start_gateway() as gateway:
        attempt = place(gateway, "an-order-2", fencing_token=1_800_000_000_006)
        assert await reason_of(attempt) == "STALE_TOKEN"


@pytest.mark.parametrize("damage", ["text", "list"])
async def test_damaged_fence_heals(gateway: Any, store: Valkey, damage: str) -> None:
    if damage == "text":
        await reply(store.set(keys.ORDER_FENCE, "x"))
    else:
        await reply(store.rpush(keys.ORDER_FENCE, "x"))
    assert (await place(gateway, "an-order-1", fencing_token=3)).state == FILLED
    assert await reply(store.get(keys.ORDER_FENCE)) == b"3"


async def test_without_a_store_the_last_token_reduces_and_enters_nothing(
    start_gateway: Any, broker: RunningBroker, valkey: ValkeyServer
) -> None:
    async with start_gateway(VALKEY_URL=valkey.url) as gateway:
        await place(gateway, "an-order-1", fencing_token=6)
        valkey.kill()
        entry = place(gateway, "an-order-2", fencing_token=6)
        assert await reason_of(entry) == "STORE_UNAVAILABLE"
        old = place(gateway, "an-order-3", "-10", reduce_only=True, fencing_token=5)
        assert await reason_of(old) == "STALE_TOKEN"
        placed = await place(gateway, "an-order-4", "-10", reduce_only=True, fencing_token=6)
        assert placed.state == FILLED
        valkey.start()


async def test_old_entry_is_refused_and_its_id_stays_free(
    gateway: Any, broker: RunningBroker
) -> None:
    attempt = place(gateway, "an-order-1", decided_at_ms=ago(11))
    assert await reason_of(attempt) == "ORDER_TOO_OLD"
    ahead = place(gateway, "an-order-1", decided_at_ms=ago(-30))
    assert await reason_of(ahead) == "ORDER_TOO_OLD"
    assert (await place(gateway, "an-order-1", decided_at_ms=ago(1))).state == FILLED
    assert fills(broker) == {"an-order-1": 1}


async def test_age_never_stops_a_reduction(gateway: Any, broker: RunningBroker) -> None:
    await place(gateway, "an-order-1")
    (trade,) = (await open_trades(gateway)).trades
    old = ago(3600)
    placed = await place(gateway, "an-order-2", "-10", reduce_only=True, decided_at_ms=old)
    assert placed.state == FILLED
    closed = await close_trade(gateway, trade.id, "a-close-1", decided_at_ms=old)
    assert (closed.state, Decimal(closed.filled_units)) == (FILLED, Decimal(-90))


async def test_maximum_age_is_a_knob(start_gateway: Any) -> None:
    async with start_gateway(ORDER_MAX_AGE_SEC="30") as gateway:
        assert (await place(gateway, "an-order-1", decided_at_ms=ago(11))).state == FILLED


async def test_entry_that_grows_old_while_the_store_hangs_is_not_sent(
    start_gateway: Any, broker: RunningBroker, valkey: ValkeyServer
) -> None:
    """Fresh on arrival, too old when it could leave."""
    async with start_gateway(VALKEY_URL=valkey.url, ORDER_MAX_AGE_SEC="0.5") as gateway:
        await place(gateway, "an-order-1")

        async def refused_for_its_age() -> bool:
            valkey.freeze()
            attempt = asyncio.create_task(place(gateway, "an-order-2", decided_at_ms=ago(0)))
            await asyncio.sleep(0.7)
            valkey.thaw()
            reason = await reason_of(attempt)
            # On a machine that stalls the store's own timeout may pass first.
            assert reason in ("ORDER_TOO_OLD", "STORE_UNAVAILABLE")
            return reason == "ORDER_TOO_OLD"

        await eventually(refused_for_its_age)
    assert fills(broker) == {"an-order-1": 1}
