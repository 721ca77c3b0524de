"""Wiring of the guard service."""

import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from sep.guard.v1 import guard_pb2_grpc
from sep_fx.sessions import SessionCalendar
from sep_kit import service
from sep_kit.clock import Clock, now_ms
from sep_kit.grpc.server import Handler
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts
from sep_kit.store import keys
from sep_kit.store.channel_watch import ChannelWatch
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.durable_kill_switch import LATE_INTERVAL_S, DurableKillSwitch, EngageElsewhere
from sep_kit.store.halt_file import HaltFile
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.lease import Lease
from sep_kit.store.records import KillSwitchChange
from sep_kit.subscription import Subscription

from sep_guard.adapters.gateway import GatewayBroker
from sep_guard.adapters.gateway_kill_switch import GatewayKillSwitch
from sep_guard.adapters.judged_parameters import GatesBlobParameters
from sep_guard.adapters.risk_state import RiskStateStore
from sep_guard.adapters.stored_inputs import StoredInputsReader
from sep_guard.adapters.valkey_store import STORED_TYPES, ValkeyGuardStore
from sep_guard.adapters.view_reader import ViewReader, ViewSettings
from sep_guard.application.account_view import AccountViewReader
from sep_guard.application.breaker import Breaker
from sep_guard.application.closing import Closing
from sep_guard.application.dispatcher import Dispatcher
from sep_guard.application.drain import Drain
from sep_guard.application.flatten import Flatten
from sep_guard.application.instrument_locks import InstrumentLocks
from sep_guard.application.kill_switch import KillSwitchControl
from sep_guard.application.open_orders import OpenOrders
from sep_guard.application.queries import GuardQueries
from sep_guard.application.reconcile import Reconciler
from sep_guard.application.risk_monitor import RiskMonitor
from sep_guard.application.stop_keeper import StopKeeper
from sep_guard.application.watermark import Watermark
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import Broker
from sep_guard.servicer import GuardServicer
from sep_guard.settings import GuardSettings

SERVICE = "sep.guard.v1.GuardService"


def _new_id() -> str:
    return uuid.uuid4().hex


async def _no_gateway(_: KillSwitchChange) -> None:
    """There is no gateway that holds an engage."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the guard is assembled from: store, lease, broker, clocks and ids.

    ``elapsed`` is a monotonic clock in seconds.
    """

    valkey: Valkey
    lease: Lease
    broker: Broker
    clock: Clock
    metrics: GuardMetrics
    elapsed: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = _new_id
    engage_gateway: EngageElsewhere = _no_gateway


@dataclass(frozen=True, kw_only=True)
class Guard:
    """The parts of a guard without its server."""

    views: ViewReader
    reconciler: Reconciler
    drain: Drain
    flatten: Flatten
    locks: InstrumentLocks
    kill_switch: DurableKillSwitch
    kill_switch_control: KillSwitchControl
    recording: Callable[[], Awaitable[str | None]]


def assemble(settings: GuardSettings, resources: Resources) -> Guard:
    """Wire adapters and application."""
    valkey, clock, metrics = resources.valkey, resources.clock, resources.metrics
    limits, new_id = settings.limits(), resources.new_id
    store = ValkeyGuardStore(valkey, resources.lease)
    folder = settings.kill_switch_dir
    kill_switch = DurableKillSwitch(
        KillSwitch(valkey),
        None if folder is None else HaltFile(folder, "guard"),
        clock,
        resources.engage_gateway,
    )
    open_orders = OpenOrders(store, resources.elapsed)
    stored_inputs = StoredInputsReader(
        valkey, settings.candle_granularity, open_orders.instruments, clock
    )
    view_settings = ViewSettings(
        instruments=settings.hotband_pairs,
        calendar=SessionCalendar(settings.market_calendar, gating=settings.session_trading_enabled),
        read_only=settings.read_only,
        live_allowed=settings.live_allowed,
    )
    states = RiskStateStore(valkey)
    broker, watermark = resources.broker, Watermark()
    monitor = RiskMonitor(broker, states, limits.risk, clock, lambda: open_orders.sent_ids)
    accounts = AccountViewReader(broker, watermark, time.monotonic)
    views = ViewReader(
        view_settings, broker, stored_inputs, kill_switch, monitor, accounts, watermark, clock
    )
    dispatcher = Dispatcher(broker, store, open_orders, clock, metrics, watermark)
    stops = StopKeeper(broker, dispatcher, metrics)
    breaker = Breaker(states, store, dispatcher, kill_switch, limits.risk, new_id, clock, metrics)
    control = KillSwitchControl(kill_switch, breaker, clock, metrics)
    closing = Closing(dispatcher, store, metrics)
    locks = InstrumentLocks(
        settings.hotband_pairs, states, store, dispatcher, new_id, clock, metrics
    )
    flatten = Flatten(views, closing, control, locks, new_id, metrics)
    return Guard(
        views=views,
        reconciler=Reconciler(
            views, dispatcher, limits, store, new_id, metrics, breaker, flatten, stops
        ),
        drain=Drain(views, closing, limits.portfolio, store, new_id, metrics),
        flatten=flatten,
        locks=locks,
        kill_switch=kill_switch,
        kill_switch_control=control,
        recording=store.recording,
    )


def build(settings: GuardSettings, context: Context) -> Parts:
    """Wire the guard service."""
    valkey, clock, lease = context.store, context.clock, context.lease
    channel = context.open_channel(settings.gateway_addr)
    metrics = GuardMetrics(context.registry)
    resources = Resources(
        valkey=valkey,
        lease=lease,
        broker=GatewayBroker(channel),
        clock=clock,
        metrics=metrics,
        engage_gateway=GatewayKillSwitch(channel).engage,
    )
    guard = assemble(settings, resources)
    servicer = GuardServicer(
        GuardQueries(
            guard.views, GatesBlobParameters(valkey), settings.hotband_pairs, settings.limits()
        ),
        guard.reconciler,
        guard.drain,
        guard.flatten,
        guard.locks,
        guard.kill_switch_control,
        clock,
    )

    unseeded = [
        KillSwitchChange(
            ts=now_ms(clock), engaged=settings.kill_switch, reason="KILL_SWITCH at start", actor=""
        )
    ]

    async def prepare() -> None:
        """Seed the kill switch, then reconcile with the broker before the first decision."""
        # Once per start: a retry that waits for the broker must not undo a change by the API.
        await guard.kill_switch.tick()
        while unseeded:
            await guard.kill_switch.seed(unseeded[0], force=settings.kill_switch_force_env)
            unseeded.clear()
        await guard.views.view()

    late_engage = PeriodicLoop(
        "kill_switch", guard.kill_switch.tick, LATE_INTERVAL_S, context.loops, vital=False
    )
    loop = PeriodicLoop(
        "reconcile", guard.reconciler.tick, settings.pm_reconcile_sec, context.loops
    )
    # A replica that takes the lease over does not wait for the interval.
    lease.on_acquired(loop.wake)
    # Nor do new weights.
    watch = ChannelWatch(valkey, keys.WEIGHTS_CHANNEL, lambda _: loop.wake())

    async def ping_store() -> None:
        await reply(valkey.ping())

    return Parts(
        handlers=[Handler(SERVICE, servicer, guard_pb2_grpc.add_GuardServiceServicer_to_server)],
        loops=[loop, late_engage, Subscription("weights_watch", watch.run, context.loops)],
        prepare=prepare,
        checks={"valkey": ping_store, "recording": guard.recording},
        stored=STORED_TYPES,
        close=[partial(channel.close, None)],
    )


def main() -> None:
    """Run the guard until SIGTERM or SIGINT."""
    service.main("guard", GuardSettings, build)
