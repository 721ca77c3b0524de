"""The time from a new gates blob to the first order, through allocator, guard and Valkey."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry
from sep_allocator.adapters.valkey_store import ValkeyAllocatorStore
from sep_allocator.application.allocation_loop import AllocationLoop
from sep_allocator.metrics import AllocatorMetrics
from sep_allocator.settings import AllocatorSettings
from sep_fx.instrument import Instrument
from sep_fx.sessions import MarketCalendar, SessionCalendar
from sep_guard.app import Resources, assemble
from sep_guard.domain.market import Account, Quote
from sep_guard.domain.orders import Intent, Outcome, Result
from sep_guard.domain.risk.activity import OwnTrade
from sep_guard.domain.risk.ledger_events import LedgerPage
from sep_guard.domain.stop_guard import StopOrder, StopSet
from sep_guard.domain.trades import OpenTrades
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import Prices
from sep_guard.settings import GuardSettings
from sep_kit.clock import SystemClock, now_ms
from sep_kit.loop import LoopMetrics, PeriodicLoop
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.channel_watch import ChannelWatch
from sep_kit.store.connection import Valkey, open_valkey
from sep_kit.store.lease import Lease
from sep_kit.store.records import BrokerLinkRecord, GatesBlob, ManifoldRecord, SignalRecord
from sep_kit.store.signals import queue_manifold, queue_signal
from sep_testing.valkey import ValkeyServer

from bench.instruments import instrument
from bench.runner import Figure, Options, percentile_ms

_D = Decimal
_METRICS = {"coherence": 0.62, "stability": 0.9, "entropy": 0.7, "rupture": 0.1}


class _Broker:
    """A broker that fills every order immediately and records when the first one arrived."""

    def __init__(self, names: Sequence[str], clock: SystemClock) -> None:
        self._rules = {n: instrument(n) for n in names}
        self._clock = clock
        self.arrived = asyncio.Event()
        self.arrived_at = 0.0

    async def account(self, since_id: int = 0) -> Account:
        return Account(
            balance=_D(100_000),
            nav=_D(100_000),
            margin_used=_D(0),
            margin_available=_D(100_000),
            last_transaction_id="7",
        )

    async def trades(self, since_id: int = 0) -> OpenTrades:
        return OpenTrades(last_transaction_id="7")

    async def set_stop(self, stop: StopOrder) -> StopSet:
        return StopSet(in_place=True)

    async def prices(self, instruments: Sequence[str]) -> Prices:
        quote = Quote(
            bid=_D("1.10000"), ask=_D("1.10010"), ts_ms=now_ms(self._clock), tradeable=True
        )
        return Prices(dict.fromkeys(instruments, quote), {"USD": _D(1)})

    async def instruments(self) -> Mapping[str, Instrument]:
        return self._rules

    async def place(self, intent: Intent) -> Result:
        if not self.arrived.is_set():
            self.arrived_at = time.perf_counter()
            self.arrived.set()
        return Result(
            outcome=Outcome.FILLED, reason="", filled_units=intent.units, fill_price=_D("1.10010")
        )

    async def look_up(self, intent: Intent) -> Result | None:
        return None

    async def own_trades(self) -> Sequence[OwnTrade]:
        return ()

    async def ledger(self, since_id: int, through_id: int) -> LedgerPage:
        return LedgerPage(events=(), through_id=through_id)


async def measure_orders(options: Options) -> list[Figure]:
    """Allocator and guard with their own loops, which wake each other through a real Valkey."""
    with TemporaryDirectory() as folder:
        server = ValkeyServer(Path(folder), fsync="everysec")
        server.start()
        try:
            return await _measured(server.url, 20 if options.quick else 100)
        finally:
            server.kill()


async def _measured(url: str, rounds: int) -> list[Figure]:
    names = tuple(f"AA{c}_USD" for c in "ABCDEFGH")
    store, clock = open_valkey(url), SystemClock()
    await store.set(keys.KILL_SWITCH, "0")
    calendar = SessionCalendar(MarketCalendar.ALWAYS)
    leases = [Lease(store, n, "bench", clock) for n in ("allocator", "guard")]
    for lease in leases:
        await lease.renew()
    allocation = AllocationLoop(
        names,
        calendar,
        load_settings(AllocatorSettings, {}).limits(),
        ValkeyAllocatorStore(store, leases[0]),
        clock,
        AllocatorMetrics(CollectorRegistry(), clock),
    )
    broker, ids = _Broker(names, clock), iter(range(10**9))
    settings = load_settings(
        GuardSettings, {"HOTBAND_PAIRS": ",".join(names), "MARKET_CALENDAR": "24x7"}
    )
    resources = Resources(
        valkey=store, lease=leases[1], broker=broker, clock=clock,
        metrics=GuardMetrics(CollectorRegistry()), elapsed=time.perf_counter,
        new_id=lambda: f"{next(ids):032x}",
    )  # fmt: skip
    reconcile = assemble(settings, resources).reconciler
    loops = LoopMetrics(CollectorRegistry())
    allocating = PeriodicLoop("allocation", allocation.tick, 3600, loops)
    reconciling = PeriodicLoop("reconcile", reconcile.tick, 3600, loops)
    watches = (
        ChannelWatch(store, keys.GATES_CHANNEL, lambda _: allocating.wake()),
        ChannelWatch(store, keys.WEIGHTS_CHANNEL, lambda _: reconciling.wake()),
    )
    tasks = [asyncio.create_task(w.run()) for w in (allocating, reconciling, *watches)]
    await asyncio.sleep(2.0)  # until both loops have completed a first idle tick
    taken = []
    for _ in range(rounds):
        for lease in leases:
            await lease.renew()
        await _signal(store, names, now_ms(clock))
        broker.arrived.clear()
        started = time.perf_counter()
        await _publish(store, names, now_ms(clock))
        await asyncio.wait_for(broker.arrived.wait(), 10)
        taken.append(broker.arrived_at - started)
        await asyncio.sleep(0.05)  # until that cycle has ended
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.aclose()
    middle = percentile_ms(taken, 50)
    return [
        Figure("new blob to the first order leaving, p99", percentile_ms(taken, 99), "ms", 250.0,
               lower_is_better=True, note=f"p50 {middle:.1f} ms, real Valkey, 8 instruments"),
    ]  # fmt: skip


async def _signal(store: Valkey, names: Sequence[str], now: int) -> None:
    link = BrokerLinkRecord(ts=now, connected=True, last_contact_ms=now)
    async with store.pipeline(transaction=True) as pipe:
        pipe.set(keys.BROKER_LINK, link.model_dump_json())
        for name in names:
            fields = {
                "ts_ns": (now - 60_000) * 1_000_000,
                "price": 1.1,
                "metrics": _METRICS,
                "coeffs": {"sigma_eff": 1e-4, "lambda": 0.1},
                "slope_bps": 3.0,
                "direction": 1,
                "bracket": {"stop_distance": 0.001, "take_profit_distance": 0.0015,
                            "max_spread": 0.0003},
            }  # fmt: skip
            queue_signal(pipe, name, SignalRecord.model_validate(fields), 3600)
            manifold = {"instrument": name, "ts_ms": now, "price": "1.1", "metrics": _METRICS,
                        "coeffs": fields["coeffs"]}  # fmt: skip
            queue_manifold(pipe, ManifoldRecord.model_validate(manifold))
        await pipe.execute()


async def _publish(store: Valkey, names: Sequence[str], now: int) -> None:
    blob = GatesBlob(
        ts=now,
        gates=dict.fromkeys(names, 1),
        cooldowns=dict.fromkeys(names, 0),
        bufs=dict.fromkeys(names, 0.1),
    )
    async with store.pipeline(transaction=True) as pipe:
        pipe.set(keys.GATES_BLOB, blob.model_dump_json())
        pipe.publish(keys.GATES_CHANNEL, str(now))
        await pipe.execute()
