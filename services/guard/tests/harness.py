"""Test harness: a guard over a real store and any broker, and a writer of its inputs."""

import itertools
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from prometheus_client import CollectorRegistry
from sep_fx.instants import NS_PER_MS, NS_PER_SECOND
from sep_guard.adapters.gateway import GatewayBroker
from sep_guard.adapters.judged_parameters import GatesBlobParameters
from sep_guard.app import Resources, assemble
from sep_guard.application.queries import GuardQueries
from sep_guard.application.reconcile import Done
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import Broker
from sep_guard.settings import GuardSettings
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import PeerUnavailableError, StaleViewError
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.lease import Lease
from sep_kit.store.records import (
    BrokerLinkRecord,
    GatesBlob,
    KillSwitchChange,
    ManifoldRecord,
    ParametersRecord,
    SignalRecord,
    WeightsRecord,
)
from sep_kit.store.signals import queue_manifold, queue_signal

from .risk.limits import WIDE_SETTINGS

METRICS = {"coherence": 0.6, "stability": 0.9, "entropy": 0.5, "rupture": 0.1}
COEFFS = {"sigma_eff": 0.0001, "lambda": 0.05}


def settings_of(url: str, **changed: str) -> GuardSettings:
    environment = {
        "GRPC_LISTEN": "127.0.0.1:0",
        "VALKEY_URL": url,
        "HOTBAND_PAIRS": "EUR_USD,GBP_USD",
        "MARKET_CALENDAR": "24x7",
        **WIDE_SETTINGS,
        **changed,
    }
    return load_settings(GuardSettings, environment)


class Feed:
    """Writes what evaluator, allocator, gateway and operators write."""

    def __init__(self, store: Valkey, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.price: Callable[[str], float] = lambda _: 1.1
        """Close of the last candle and price of the live manifold."""

    async def signal(
        self, instrument: str = "EUR_USD", direction: int = 1, stop: float = 0.01, **metrics: float
    ) -> None:
        """A signal whose window ended this second, and a live manifold."""
        now = now_ms(self._clock)
        signal = SignalRecord.model_validate(
            {
                "ts_ns": (now - 60_000) * NS_PER_MS,
                "price": self.price(instrument),
                "metrics": {**METRICS, **metrics},
                "coeffs": COEFFS,
                "slope_bps": 3.0,
                "direction": direction,
                "bracket": {
                    "stop_distance": stop, "take_profit_distance": stop * 1.5,
                    "max_spread": stop * 0.3,
                },
            }
        )  # fmt: skip
        async with self._store.pipeline() as pipe:
            queue_signal(pipe, instrument, signal, 3600)
            await pipe.execute()
        await self.manifold(instrument)

    async def manifold(self, instrument: str) -> None:
        """A live manifold of now."""
        manifold = ManifoldRecord.model_validate(
            {
                "instrument": instrument, "ts_ms": now_ms(self._clock),
                "price": str(self.price(instrument)),
                "metrics": METRICS, "coeffs": COEFFS,
            }
        )  # fmt: skip
        async with self._store.pipeline() as pipe:
            queue_manifold(pipe, manifold)
            await pipe.execute()

    async def blob(
        self, parameters: Mapping[str, tuple[str, str]] | None = None, /, **gates: int
    ) -> int:
        """The gates blob, and its message on the channel; returns its time in ms.

        Args:
            parameters: run and digest by instrument.
        """
        now = now_ms(self._clock)
        none, bufs = dict.fromkeys(gates, 0), dict.fromkeys(gates, 0.1)
        params = {
            i: ParametersRecord(digest=digest, run=run)
            for i, (run, digest) in (parameters or {}).items()
        }
        blob = GatesBlob(ts=now, gates=gates, cooldowns=none, bufs=bufs, params=params)
        await self._store.set(keys.GATES_BLOB, blob.model_dump_json())
        await self._store.publish(keys.GATES_CHANNEL, str(now))
        return now

    async def weights(self, held: bool = False, **by_instrument: float) -> None:
        now = now_ms(self._clock)
        record = WeightsRecord(
            ts=now, gates_ts=now, weights=by_instrument, scores={}, top_k=3, held=held
        )
        await self._store.set(keys.ALLOCATION_WEIGHTS, record.model_dump_json())

    async def link(self, **changed: Any) -> None:
        record = BrokerLinkRecord.model_validate(
            {"ts": now_ms(self._clock), "connected": True, "last_contact_ms": 1, **changed}
        )
        await self._store.set(keys.BROKER_LINK, record.model_dump_json())

    async def kill_switch(self, engaged: bool) -> None:
        change = KillSwitchChange(
            ts=now_ms(self._clock), engaged=engaged, reason="a test", actor="test"
        )
        await KillSwitch(self._store).set(change)

    async def all_clear(self, **weights: float) -> None:
        """Everything that an entry in the weighted instruments needs."""
        for instrument in weights:
            await self.signal(instrument)
        await self.weights(held=False, **weights)
        await self.link()
        await self.kill_switch(False)
        await self._store.set(keys.MARGIN_GATE, "open")


class GuardHarness:
    """One guard over a real store, with its own lease and metrics.

    Args:
        on_new_id: called between a plan and its orders, where tests inject failures.
        elapsed: the monotonic clock; follows ``clock`` when None.
    """

    def __init__(
        self,
        store: Valkey,
        clock: Clock,
        broker: Broker,
        settings: GuardSettings,
        holder: str = "a",
        on_new_id: Callable[[], None] = lambda: None,
        elapsed: Callable[[], float] | None = None,
        lease_type: type[Lease] = Lease,
    ) -> None:
        self.store, self.clock = store, clock
        self._over_grpc = isinstance(broker, GatewayBroker)
        self.on_new_id = on_new_id
        self.lease = lease_type(store, "guard", holder, clock)
        self.registry = CollectorRegistry()
        ids = itertools.count(1)

        def new_id() -> str:
            self.on_new_id()
            return f"{holder}{next(ids)}-{clock.now_ns()}"

        resources = Resources(
            valkey=store,
            lease=self.lease,
            broker=broker,
            clock=clock,
            metrics=GuardMetrics(self.registry),
            elapsed=elapsed or (lambda: clock.now_ns() / NS_PER_SECOND),
            new_id=new_id,
        )
        guard = assemble(settings, resources)
        self.views, self.reconciler, self.drain = guard.views, guard.reconciler, guard.drain
        self.flatten, self.locks = guard.flatten, guard.locks
        self.kill_switch = guard.kill_switch_control
        self.durable_kill_switch = guard.kill_switch
        self.queries = GuardQueries(
            guard.views, GatesBlobParameters(store), settings.hotband_pairs, settings.limits()
        )

    async def cycle(self, dry_run: bool = False) -> dict[str, Done]:
        """Renew the lease and run one cycle; returns what was done, by instrument.

        Where a machine that stalls costs it the view of a real gateway, it is run again, at most
        twice.
        """
        for last in (not self._over_grpc, not self._over_grpc, True):
            await self.lease.renew()
            try:
                cycle = await self.reconciler.reconcile(dry_run=dry_run)
                break
            except (PeerUnavailableError, StaleViewError):
                if last:
                    raise
        return {d.action.instrument: d for d in cycle.done}


def kind_and_reasons(done: Done) -> tuple[str, tuple[str, ...]]:
    return str(done.action.kind), tuple(str(r) for r in done.action.reasons)


async def log(store: Valkey) -> list[dict[str, Any]]:
    """``guard:decisions`` without the events of the risk limits, oldest first."""
    return [record for record in await full_log(store) if record["event"] != "risk"]


async def risk_log(store: Valkey) -> list[tuple[str, str, str]]:
    """Kind, cause and instrument of each event of the risk limits, oldest first."""
    return [
        (record["kind"], record["cause"], record["instrument"])
        for record in await full_log(store)
        if record["event"] == "risk"
    ]


async def full_log(store: Valkey) -> list[dict[str, Any]]:
    """``guard:decisions``, oldest first."""
    entries = await reply(store.xrange(keys.GUARD_DECISIONS))
    return [json.loads(fields[b"decision"]) for _, fields in entries]


async def open_orders(store: Valkey, instrument: str = "EUR_USD") -> list[dict[str, Any]]:
    found = await reply(store.hgetall(keys.OPEN_ORDERS))
    return [
        json.loads(raw)
        for field, raw in found.items()
        if field.startswith(f"{instrument}:".encode())
    ]


def margin(units: Decimal, price: Decimal = Decimal("1.1")) -> Decimal:
    return abs(units) * price * Decimal("0.02")
