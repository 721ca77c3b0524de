"""Streams are cut, silenced and left half open a hundred times each, while orders fill.

Meanwhile two guarantees are checked from outside: no price is served that has been outdated
for longer than the stream's silence limit, and no transaction is missed.
"""

import asyncio
import itertools
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sep.gateway.v1 import gateway_pb2 as pb
from sep_fx.instants import NS_PER_MS, NS_PER_SECOND, parse_rfc3339
from sep_fx.sessions import MarketCalendar
from sep_gateway.adapters.oanda import throttle
from sep_gateway.domain import backoff
from sep_gateway.domain.rate_limit import RateLimit
from sep_kit.cancellation import raise_if_cancelled
from sep_kit.errors import SepError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_kit.store.documents import read_document
from sep_kit.store.records import BrokerLinkRecord
from sep_paper_broker.app import RunningBroker, serve_paper_broker
from sep_paper_broker.market.market import quote_at
from sep_paper_broker.settings import Settings as PaperSettings
from sep_testing.calls import call
from sep_testing.eventually import eventually
from structlog.testing import capture_logs

SEED = 20260304
EACH = 100
LIMIT_S = 0.4
# The broker reads its clock for a heartbeat shortly after it has read the prices.
PRICE_TO_HEARTBEAT_S = 0.1
# Gateway, broker and test share one event loop, which a busy machine may stop for a while:
# what it stood still for within this time is not the gateway's doing.
PAUSES_S = 3.0
SHORTEST_PAUSE_S = 0.02
# The account summary is read every second, and a response may be slow.
LEDGER_LAG_S = 6.0
PAIRS = ("EUR_USD", "USD_JPY")
STREAMS = {"prices": "pricing/stream", "transactions": "transactions/stream"}


@pytest.fixture
async def broker() -> AsyncIterator[RunningBroker]:
    """A paper broker with frequent heartbeats."""
    settings = PaperSettings(
        token="a-secret-broker-token",
        calendar=MarketCalendar.ALWAYS,
        heartbeat_seconds=0.1,
        poll_seconds=0.05,
    )
    async with serve_paper_broker(settings, clock=time.time_ns) as running:
        yield running


@pytest.fixture(autouse=True)
def fast_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the delays between connections alone would take ten minutes."""
    monkeypatch.setattr(throttle, "CONNECTIONS", RateLimit(per_second=50, burst=5))
    monkeypatch.setattr(backoff, "_FIRST_S", 0.02)
    monkeypatch.setattr(backoff, "_LONGEST_S", 0.2)


def now_ns() -> int:
    return time.time_ns()


@dataclass
class Observations:
    """Results of the checks."""

    prices: int = 0
    outdated: list[str] = field(default_factory=list)
    links: Counter[bool] = field(default_factory=Counter)
    behind: list[str] = field(default_factory=list)


class Faults:
    """Injects faults into one stream, one after the other."""

    def __init__(self, gateway: Any, broker: RunningBroker, stream: str) -> None:
        self._gateway = gateway
        self._board = broker.faults
        self._series = f'sep_oanda_stream_breaks_total{{stream="{stream}"}}'
        self._path = STREAMS[stream]

    async def breaks(self) -> float:
        """How often the gateway dropped the stream."""
        return float((await self._gateway.metrics(self._series)).get(self._series, 0))

    async def cut(self) -> None:
        """Reset the open connection."""
        await self._used(self._board.add(self._of("cut_stream", times=1)))

    async def silence(self) -> None:
        """Keep the connection open and drop its data until the gateway notices."""
        before = await self.breaks()
        fault = self._board.add(self._of("silent_stream"))
        await eventually(lambda: self._more_than(before))
        self._board.remove(fault.id)

    async def short_silence(self) -> None:
        """Drop data for less than the silence limit."""
        fault = self._board.add(self._of("silent_stream"))
        await asyncio.sleep(LIMIT_S / 2)
        self._board.remove(fault.id)

    async def half_open_while_reading(self) -> None:
        """The broker's end disappears without closing the connection."""
        before = await self.breaks()
        await self._used(self._board.add(self._of("half_open_stream", times=1)))
        await eventually(lambda: self._more_than(before))

    async def half_open_at_start(self) -> None:
        """The next connection is accepted, and its request gets no response."""
        hang = self._board.add(self._of("hang", times=1))
        await self.cut()
        await self._used(hang)

    def _of(self, kind: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "path": self._path, **more}

    async def _more_than(self, count: float) -> bool:
        return await self.breaks() > count

    async def _used(self, fault: Any) -> None:
        await eventually(lambda: fault.id not in {f.id for f in self._board.faults})


async def trade(broker: RunningBroker, history: list[tuple[int, int]]) -> None:
    """Trade directly at the broker; record the newest transaction id over time."""
    url = f"{broker.url}/v3/accounts/{broker.settings.account}/orders"
    headers = {"Authorization": f"Bearer {broker.settings.token}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as client:
        for n in itertools.count():
            units = "100" if n % 2 else "-100"
            order = {"type": "MARKET", "instrument": "EUR_USD", "units": units}
            response = await client.post(url, json={"order": order})
            history.append((now_ns(), int(response.json()["lastTransactionID"])))
            await asyncio.sleep(0.1)


@dataclass
class Pauses:
    """How long the event loop has stood still of late."""

    seen: deque[tuple[int, int]] = field(default_factory=deque)

    async def watch(self) -> None:
        """Note each time that the loop runs late."""
        before = time.monotonic_ns()
        while True:
            await asyncio.sleep(SHORTEST_PAUSE_S)
            now = time.monotonic_ns()
            lost = now - before - int(SHORTEST_PAUSE_S * NS_PER_SECOND)
            if lost > SHORTEST_PAUSE_S * NS_PER_SECOND:
                self.seen.append((now, lost))
            before = now

    def ns(self) -> int:
        """Time lost within the last ``PAUSES_S``."""
        since = time.monotonic_ns() - PAUSES_S * NS_PER_SECOND
        while self.seen and self.seen[0][0] < since:
            self.seen.popleft()
        return sum(lost for _, lost in self.seen)


async def watch_prices(
    gateway: Any, broker: RunningBroker, seen: Observations, pauses: Pauses
) -> None:
    """Compare each served price with the broker's own market."""
    market = broker.broker.market
    while True:
        requested_ns = now_ns()
        try:
            response = await call(gateway.stub.GetPricing, pb.GetPricingRequest(), peer="gateway")
        except SepError as error:
            if error.reason != "BROKER_UNAVAILABLE":
                raise
            # An error serves no price.
            continue
        slack_ns = int((LIMIT_S + PRICE_TO_HEARTBEAT_S) * NS_PER_SECOND) + pauses.ns()
        for price in response.prices:
            seen.prices += 1
            then = quote_at(market, price.instrument, requested_ns - slack_ns)
            assert then is not None
            if parse_rfc3339(price.time) < then.time_ns:
                late = (requested_ns - parse_rfc3339(price.time)) / NS_PER_SECOND
                seen.outdated.append(f"{price.instrument} of {price.time}, {late:.1f} s old")
        await asyncio.sleep(0.02)


async def watch_link(store: Valkey, history: list[tuple[int, int]], seen: Observations) -> None:
    """A ledger published as contiguous must include all older transactions."""
    while True:
        link = await read_document(store, BrokerLinkRecord, keys.BROKER_LINK)
        raise_if_cancelled()
        if link is not None:
            seen.links[link.ledger_contiguous] += 1
            old = link.ts * NS_PER_MS - int(LEDGER_LAG_S * NS_PER_SECOND)
            known = max((last for at, last in history if at <= old), default=0)
            if link.ledger_contiguous and (link.last_transaction_id or 0) < known:
                seen.behind.append(
                    f"contiguous up to {link.last_transaction_id}, but {known} is older"
                )
        await asyncio.sleep(0.05)


@asynccontextmanager
async def running_alongside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run tasks while the block runs; they must not end by themselves."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
        for task in tasks:
            assert not task.done(), task.exception()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.timeout(900)
async def test_three_hundred_faults_serve_no_outdated_price_and_leave_no_gap(
    start_gateway: Any, broker: RunningBroker, store: Valkey
) -> None:
    rng = random.Random(SEED)
    kinds = ["cut", "silence", "half_open_while_reading", "half_open_at_start"]
    plan = [
        (stream, kind)
        for kind, times in zip(kinds, (EACH, EACH, EACH // 2, EACH // 2), strict=True)
        for stream in STREAMS
        for _ in range(times // 2)
    ]
    # TCP loses no line of an open connection, but the broker may; the ledger must notice.
    plan += [("transactions", "short_silence")] * (EACH // 2)
    rng.shuffle(plan)
    seen = Observations()
    history: list[tuple[int, int]] = []
    pauses = Pauses()
    with capture_logs() as logs:
        async with start_gateway(OANDA_STREAM_SILENCE_SEC=str(LIMIT_S)) as gateway:

            async def inject(stream: str) -> float:
                faults = Faults(gateway, broker, stream)
                before = await faults.breaks()
                for _, kind in (entry for entry in plan if entry[0] == stream):
                    await getattr(faults, kind)()
                    await asyncio.sleep(rng.uniform(0, 0.15))
                return await faults.breaks() - before

            await eventually(gateway.serves)
            last_before = broker.broker.account.last_transaction_id
            async with running_alongside(
                trade(broker, history),
                pauses.watch(),
                watch_prices(gateway, broker, seen, pauses),
                watch_link(store, history, seen),
            ):
                breaks = await asyncio.gather(*(inject(stream) for stream in STREAMS))
            newest = int(broker.broker.account.last_transaction_id)

            async def contiguous() -> bool:
                link = await read_document(store, BrokerLinkRecord, keys.BROKER_LINK)
                return bool(link and link.ledger_contiguous and link.last_transaction_id == newest)

            await eventually(contiguous)
            requested = await gateway.metrics('sep_oanda_requests_total{endpoint="pricing"')
    assert sum(breaks) >= 3 * EACH
    assert seen.outdated == []
    assert seen.behind == []
    # Prices came both from the stream and from requests.
    assert seen.prices / len(PAIRS) > sum(requested.values()) > 0
    assert seen.links[True] > 0
    assert len(history) > 2 * EACH
    assert_every_transaction_was_logged_once(logs, broker, int(last_before))


def assert_every_transaction_was_logged_once(logs: Any, broker: RunningBroker, after: int) -> None:
    """Compare the transactions that the gateway logged with the broker's ledger."""
    logged = sorted(entry["id"] for entry in logs if entry["event"] == "transaction")
    listed = [
        int(t.id)
        for t in broker.broker.account.book.ledger.transactions
        if t.body.type in ("ORDER_FILL", "ORDER_CANCEL") and int(t.id) > after
    ]
    assert logged == listed
    by_source = Counter(entry["source"] for entry in logs if entry["event"] == "transaction")
    assert by_source["stream"] > 0
    assert by_source["lookup"] > 0
