"""A guard, the real gateway, the paper broker and Valkey on one clock; each can be killed."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from typing import Any

import httpx
from redis.exceptions import RedisError
from sep_fx.instants import NS_PER_SECOND, parse_rfc3339
from sep_gateway.app import build as build_gateway
from sep_gateway.settings import GatewaySettings
from sep_guard.adapters.gateway import GatewayBroker
from sep_guard.application.reconcile import Cycle
from sep_kit.clock import now_ms
from sep_kit.errors import SepError, StoreUnavailableError
from sep_kit.grpc.client import open_channel
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey, reply
from sep_kit.store.documents import read_document
from sep_kit.store.records import BrokerLinkRecord
from sep_paper_broker.account.account import Account
from sep_paper_broker.account.trades import Trade
from sep_paper_broker.account.transactions import Transaction
from sep_paper_broker.app import RunningBroker
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

from ..harness import Feed, GuardHarness, settings_of

EUR, JPY, AUD = "EUR_USD", "USD_JPY", "AUD_USD"
PAIRS = (EUR, JPY, AUD)
# Two to four times the range of an hour, so that a day has a few stop-outs.
STOPS = {EUR: 0.003, JPY: 0.5, AUD: 0.002}
TOKEN = "a-secret-token"
OWN_TAG = "sep"


class DayClock:
    """Runs at real speed from the time it is set to, and is moved on between cycles."""

    def __init__(self, start: str) -> None:
        self._ahead = parse_rfc3339(start) - time.time_ns()

    def now_ns(self) -> int:
        return time.time_ns() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += int(seconds * NS_PER_SECOND)


class CurrentGateway:
    """A ``Broker`` over whichever gateway runs now."""

    def __init__(self) -> None:
        self.current: GatewayBroker | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current, name)


class Stand:
    """What runs, what is done to it, and what is seen of it at the broker and in the log.

    ``by_hand`` and ``of_second_writer`` are the transactions that the test made itself.
    """

    def __init__(
        self, paper: RunningBroker, valkey: ValkeyServer, clock: DayClock, chance: random.Random
    ) -> None:
        self.paper, self.valkey, self.clock, self.chance = paper, valkey, clock, chance
        self.store = open_valkey(valkey.url)
        self.feed = Feed(self.store, clock)
        self.feed.price = self.mid
        self.directions = dict.fromkeys(PAIRS, 1)
        self.weights: dict[str, float] = {}
        self.killed = False
        self.by_hand: set[str] = set()
        self.of_second_writer: set[str] = set()
        self.records: list[dict[str, Any]] = []
        self.skipped: Counter[str] = Counter()
        self.cycles = 0
        self._newest_record = "-"
        self._guards = 0
        self._gateway, self._channels = AsyncExitStack(), AsyncExitStack()
        self._broker = CurrentGateway()
        common = {
            "VALKEY_URL": valkey.url, "HOTBAND_PAIRS": ",".join(PAIRS), "MARKET_CALENDAR": "fx",
        }  # fmt: skip
        self._gateway_settings = load_settings(
            GatewaySettings,
            {
                **common, "GRPC_LISTEN": "127.0.0.1:0", "OANDA_API_URL": paper.url,
                "OANDA_STREAM_URL": paper.url, "OANDA_API_TOKEN": TOKEN,
                "OANDA_TIMEOUT_SEC": "0.5", "CANDLE_BACKFILL_DAYS": "0.02",
            },
        )  # fmt: skip
        self._settings = settings_of(
            valkey.url,
            **{**common, "RISK_MAX_EQUAL_REJECTS": "3", "PM_RAMP_STEP_PCT": "0.15"},
        )  # fmt: skip
        self.guard = self._new_guard()
        self.http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30, trust_env=False
        )

    async def start(self) -> None:
        """Start everything, and release the kill switch."""
        await self.start_gateway()
        await self.switch(engaged=False)
        await self.settle_in(within_s=30)

    async def close(self) -> None:
        """Stop everything."""
        await self.stop_gateway()
        await self._channels.aclose()
        await self.http.aclose()
        await self.store.aclose()

    # The parts.

    async def start_gateway(self) -> None:
        """Start the gateway, and let the guard talk to it."""
        self._gateway = AsyncExitStack()
        address = await self._gateway.enter_async_context(
            running_service("gateway", self._gateway_settings, build_gateway, self.clock)
        )
        channel = open_channel(address)
        # Open until the end: a cycle may still be talking to the one before.
        self._channels.push_async_callback(channel.close, None)
        self._broker.current = GatewayBroker(channel)

    async def stop_gateway(self) -> None:
        """Stop the gateway; what it has begun it ends."""
        await self._gateway.aclose()

    async def replace_guard(self) -> None:
        """A new guard in place of one that died, once its lease has ended."""
        await reply(self.store.delete(keys.lease("guard")))
        self.guard = self._new_guard()

    def _new_guard(self) -> GuardHarness:
        self._guards += 1
        broker: Any = self._broker
        return GuardHarness(
            self.store, self.clock, broker, self._settings, holder=f"guard-{self._guards}"
        )

    async def start_store(self) -> None:
        """Start Valkey again after ``valkey.kill``."""
        await asyncio.to_thread(self.valkey.start)

    # A cycle.

    async def write_inputs(self) -> None:
        """What evaluator and allocator write, as of now."""

        async def write() -> None:
            for pair in PAIRS:
                await self.feed.signal(pair, self.directions[pair], STOPS[pair])
            await self.feed.weights(held=False, **self.weights)

        await self._stored(write)

    async def cycle(self) -> Cycle | None:
        """One cycle; None where it was left out for a reason, which is counted."""
        self.cycles += 1
        try:
            with suppress(StoreUnavailableError):
                await self.guard.lease.renew()
            return await self.guard.reconciler.reconcile(dry_run=False)
        except SepError as error:
            self.skipped[error.reason] += 1
            return None

    async def read_log(self) -> None:
        """Take the new records of ``guard:decisions``, which is capped, into ``records``.

        Only the new ones are read: the whole log of a long day takes longer than the store's client
        waits.
        """

        async def read() -> None:
            found = await reply(self.store.xrange(keys.GUARD_DECISIONS, min=self._newest_record))
            for name, fields in found:
                self.records.append(json.loads(fields[b"decision"]))
                self._newest_record = "(" + name.decode()

        await self._stored(read)

    async def settle_in(self, within_s: float = 4.0) -> None:
        """Wait until the gateway has published a link and prices of now; a broken one does not."""
        with suppress(AssertionError):
            await eventually(self._is_current, within_s=within_s)

    async def _is_current(self) -> bool:
        now = now_ms(self.clock)
        with suppress(SepError):
            link = await read_document(self.store, BrokerLinkRecord, keys.BROKER_LINK)
            if link is None or now - link.ts > 5_000:
                return False
            quotes = (await self._broker.prices(list(PAIRS))).quotes.values()
            return all(not q.tradeable or now - q.ts_ms < 10_000 for q in quotes)
        return False

    async def switch(self, *, engaged: bool) -> None:
        """The kill switch by an operator, who acknowledges whatever the breaker says."""

        async def change() -> None:
            await self.guard.lease.renew()
            await self.guard.kill_switch.set(
                engaged=engaged, reason="the day", actor="ann", acknowledge_breaker=not engaged
            )

        await self._stored(change)
        self.killed = engaged

    async def unlock(self) -> None:
        """Lift all locks by hand."""

        async def lift() -> None:
            await self.guard.lease.renew()
            for lock in await self.guard.locks.running():
                await self.guard.locks.unlock(lock.instrument, "looked at", "ann")

        await self._stored(lift)

    async def _stored(self, work: Callable[[], Awaitable[None]]) -> None:
        """Read or write again until the store, which works, answered before its client gave up."""

        async def taken() -> bool:
            try:
                await work()
            except (StoreUnavailableError, RedisError):
                return False
            return True

        await eventually(taken)

    # The broker's side, by its own books.

    @property
    def account(self) -> Account:
        """The account as of now."""
        self.paper.broker.advance()
        return self.paper.broker.account

    @property
    def ledger(self) -> list[Transaction]:
        """All transactions so far."""
        return list(self.paper.broker.account.book.ledger.transactions)

    def own_trades(self, instrument: str | None = None) -> list[Trade]:
        """Open trades with this stack's tag."""
        return [
            t
            for t in self.account.book.open_trades(instrument)
            if t.client_extensions is not None and t.client_extensions.tag == OWN_TAG
        ]

    def tradeable(self, instrument: str) -> bool:
        """Whether the broker trades it now."""
        quote = self.paper.broker.quote(instrument)
        return quote is not None and quote.tradeable

    def mid(self, instrument: str) -> float:
        """The broker's price now."""
        quote = self.paper.broker.quote(instrument)
        assert quote is not None
        return float((quote.bid + quote.ask) / 2)

    def apply_faults(self) -> None:
        """Let the broker know which faults hold now, as its admin port does."""
        broker, faults = self.paper.broker, self.paper.faults
        broker.halted = faults.halted(broker.market.instruments)
        broker.delisted = faults.delisted(broker.market.instruments)
        broker.advance()

    async def ask_broker(self, method: str, resource: str, body: Any) -> dict[str, Any]:
        """A person's request at the broker; its transactions are noted as made by hand."""
        path = f"{self.paper.url}/v3/accounts/{self.paper.settings.account}/{resource}"
        response = await self.http.request(method, path, json=body)
        found: dict[str, Any] = response.json()
        self.by_hand |= set(found.get("relatedTransactionIDs", ()))
        return found


def margin_of(account: Account, trades: list[Trade]) -> Decimal:
    """The margin that the broker charges for these trades."""
    return account.book.value_of_trades(trades).margin_used
