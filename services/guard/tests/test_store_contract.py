"""Contract of the ``GuardStore`` port: the in-memory twin, and Valkey under a lease."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from sep_guard.adapters.decision_log import find_records
from sep_guard.adapters.decision_records import (
    DecisionRecord,
    DrainRecord,
    FlattenRecord,
    LogRecord,
    RiskRecord,
)
from sep_guard.adapters.valkey_store import ValkeyGuardStore
from sep_guard.domain.cycle import plan_cycle
from sep_guard.domain.drain import Close, DrainLimits, DrainReason
from sep_guard.domain.orders import Intent, Outcome, Result, intent_of_action
from sep_guard.ports import GuardStore, Transaction
from sep_kit.errors import NotTheWriterError, StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey, reply
from sep_kit.store.lease import Lease
from sep_testing.clock import FakeClock
from sep_testing.valkey import ValkeyServer

from .memory_store import MemoryGuardStore
from .test_cycle import LIMITS, view

VIEW = view()
PLAN = plan_cycle(VIEW, LIMITS)
ACTION = PLAN.actions[0]
INTENT = intent_of_action(ACTION, "an-id", VIEW)
FILLED = Result(
    outcome=Outcome.FILLED, reason="", filled_units=INTENT.units, fill_price=Decimal("1.1")
)
CLOSE = Close(
    instrument="EUR_USD",
    current=Decimal(5),
    units=Decimal(2),
    margin_freed=Decimal(1),
    reason=DrainReason.OVER_TOTAL_CAP,
)


@dataclass
class MemorySide:
    """The in-memory twin."""

    store: MemoryGuardStore

    async def become_standby(self) -> None:
        self.store.is_writer = False

    async def fail(self) -> None:
        self.store.available, self.store.is_away = False, True

    async def records(self) -> list[tuple[str, str, str]]:
        return list(self.store.state.records)

    async def budget(self) -> tuple[str, str] | None:
        budget = self.store.state.budget
        return None if budget is None else (str(budget.total), str(budget.per_instrument))

    async def margin_open(self) -> bool | None:
        return self.store.state.margin_open


@dataclass
class ValkeySide:
    """Valkey, and the lease of this replica."""

    store: ValkeyGuardStore
    valkey: Any
    server: ValkeyServer
    lease: Lease
    clock: FakeClock

    async def become_standby(self) -> None:
        await self.lease.release()
        await Lease(self.valkey, "guard", "another", self.clock).renew()

    async def fail(self) -> None:
        self.server.kill()
        with pytest.raises(StoreUnavailableError):
            await self.lease.renew()

    async def records(self) -> list[tuple[str, str, str]]:
        return [(r.id, r.event, _what(r)) for r in await find_records(self.valkey, "an-id")]

    async def budget(self) -> tuple[str, str] | None:
        stored = await reply(self.valkey.hgetall(keys.ALLOC_BUDGET))
        if not stored:
            return None
        return stored[b"budget"].decode(), stored[b"per_instrument_cap"].decode()

    async def margin_open(self) -> bool | None:
        stored = await reply(self.valkey.get(keys.MARGIN_GATE))
        return None if stored is None else stored == b"open"


Side = MemorySide | ValkeySide


@pytest.fixture(params=["memory", "valkey"])
async def side(request: Any, clock: FakeClock) -> AsyncIterator[Side]:
    if request.param == "memory":
        yield MemorySide(MemoryGuardStore())
        return
    server = request.getfixturevalue("valkey")
    async with open_valkey(server.url) as valkey:
        lease = Lease(valkey, "guard", "this", clock)
        await lease.renew()
        yield ValkeySide(ValkeyGuardStore(valkey, lease), valkey, server, lease, clock)


def decision(transaction: Transaction) -> None:
    transaction.record_decision("an-id", ACTION, VIEW, LIMITS)


async def test_the_writer_holds_the_lease_of_a_store_that_answers(side: Side) -> None:
    store: GuardStore = side.store
    assert (store.is_writer, store.is_away) == (True, False)


async def test_the_state_of_a_cycle_is_saved(side: Side) -> None:
    def writes(transaction: Transaction) -> None:
        transaction.save_budget(VIEW, PLAN, LIMITS.portfolio)
        transaction.save_margin_gate(False)

    assert (await side.budget(), await side.margin_open()) == (None, None)
    await side.store.commit(writes)
    assert await side.budget() == (str(PLAN.budget.total), str(PLAN.budget.per_instrument))
    assert await side.margin_open() is False


async def test_records_are_appended_in_order(side: Side) -> None:
    def writes(transaction: Transaction) -> None:
        decision(transaction)
        transaction.record_outcome(INTENT, FILLED, 1)

    await side.store.commit(writes)
    assert await side.records() == [
        ("an-id", "decision", "ENTRY"), ("an-id", "order", "FILLED"),
    ]  # fmt: skip


async def test_a_close_is_recorded(side: Side) -> None:
    limits = DrainLimits(buffer=Decimal(0), min_units=Decimal(0))
    await side.store.commit(
        lambda t: t.record_close("an-id", CLOSE, VIEW, LIMITS.portfolio, limits)
    )
    assert await side.records() == [("an-id", "drain", "OVER_TOTAL_CAP")]


async def test_open_orders_are_kept_until_they_are_deleted(side: Side) -> None:
    second = replace(INTENT, client_order_id="second", instrument="GBP_USD")
    assert await side.store.open_orders() == {}
    for intent in (INTENT, second, INTENT):
        await side.store.commit(lambda t, i=intent: t.save_open_order(i))  # type: ignore[misc]
    found = await side.store.open_orders()
    assert [(name, orders.intents) for name, orders in found.items()] == [
        ("EUR_USD", (INTENT,)), ("GBP_USD", (second,)),
    ]  # fmt: skip
    await side.store.commit(lambda t: t.delete_open_order(INTENT))
    await side.store.commit(lambda t: t.delete_open_order(INTENT))
    assert list(await side.store.open_orders()) == ["GBP_USD"]


async def test_a_commit_is_all_or_nothing(side: Side) -> None:
    class BrokenError(Exception):
        pass

    def writes(transaction: Transaction) -> None:
        decision(transaction)
        transaction.save_open_order(INTENT)
        raise BrokenError

    with pytest.raises(BrokenError):
        await side.store.commit(writes)
    assert await side.records() == []
    assert await side.store.open_orders() == {}


async def test_a_standby_replica_writes_nothing_and_reads(side: Side) -> None:
    await side.store.commit(lambda t: t.save_open_order(INTENT))
    await side.become_standby()
    assert not side.store.is_writer
    with pytest.raises(NotTheWriterError):
        await side.store.commit(decision)
    assert await side.records() == []
    assert list(await side.store.open_orders()) == ["EUR_USD"]


async def test_a_store_that_does_not_answer_is_unavailable(side: Side) -> None:
    await side.fail()
    assert side.store.is_away
    with pytest.raises(StoreUnavailableError):
        await side.store.commit(decision)
    with pytest.raises(StoreUnavailableError):
        await side.store.open_orders()


def test_an_intent_carries_the_prices_and_the_key_of_its_decision() -> None:
    assert isinstance(INTENT, Intent)
    assert ACTION.brackets is not None
    assert (INTENT.stop_loss, INTENT.take_profit, INTENT.price_bound) == (
        ACTION.brackets.stop_loss, ACTION.brackets.take_profit, ACTION.brackets.price_bound,
    )  # fmt: skip
    assert (INTENT.since_transaction_id, INTENT.sent_ms) == ("7", VIEW.now_ms)


def _what(record: LogRecord) -> str:
    if isinstance(record, DecisionRecord | RiskRecord):
        return str(record.kind)
    if isinstance(record, DrainRecord | FlattenRecord):
        return str(record.close.reason)
    return str(record.outcome)
