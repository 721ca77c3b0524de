"""Where the guard is wired, and nowhere else."""

import time
import uuid
from functools import partial

from sep.guard.v1 import guard_pb2_grpc
from sep_fx.sessions import SessionCalendar
from sep_kit import service
from sep_kit.clock import now_ms
from sep_kit.grpc.server import Handler
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts
from sep_kit.store import keys
from sep_kit.store.channel_watch import ChannelWatch
from sep_kit.store.connection import reply
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.records import KillSwitchChange

from sep_guard.adapters.gateway import GatewayBroker
from sep_guard.adapters.market_reader import MarketReader
from sep_guard.adapters.open_orders import OpenOrders
from sep_guard.dispatcher import Dispatcher
from sep_guard.drain import Drain
from sep_guard.metrics import GuardMetrics
from sep_guard.reconcile_loop import ReconcileLoop
from sep_guard.servicer import GuardServicer
from sep_guard.settings import GuardSettings

SERVICE = "sep.guard.v1.GuardService"


def build(settings: GuardSettings, context: Context) -> Parts:
    """Wire the guard."""
    store, clock, lease = context.store, context.clock, context.lease
    instruments, limits = settings.hotband_pairs, settings.limits()
    channel = context.open_channel(settings.gateway_addr)
    broker = GatewayBroker(channel)
    open_orders = OpenOrders(store, time.monotonic)
    calendar = SessionCalendar(settings.market_calendar, gating=settings.session_trading_enabled)
    reader = MarketReader(
        instruments,
        settings.candle_granularity,
        calendar,
        store,
        broker,
        open_orders,
        clock,
        read_only=settings.read_only,
        live_allowed=settings.live_allowed,
    )
    metrics = GuardMetrics(context.registry)
    dispatcher = Dispatcher(broker, open_orders, lease, clock, metrics)
    reconcile = ReconcileLoop(reader, dispatcher, limits, lease, _new_id, metrics)
    drain = Drain(reader, dispatcher, limits.portfolio, lease, _new_id, metrics)
    kill_switch = KillSwitch(store)
    servicer = GuardServicer(
        instruments, reader, reconcile, drain, limits, kill_switch, clock, metrics
    )

    unseeded = [
        KillSwitchChange(
            ts=now_ms(clock), engaged=settings.kill_switch, reason="KILL_SWITCH at start", actor=""
        )
    ]

    async def prepare() -> None:
        """Seed the kill switch, then reconcile with the broker before the first decision."""
        # Once a start: while the broker is waited for, the API may have changed it already.
        while unseeded:
            await kill_switch.seed(unseeded[0], force=settings.kill_switch_force_env)
            unseeded.clear()
        await reader.view()

    loop = PeriodicLoop("reconcile", reconcile.tick, settings.pm_reconcile_sec, context.loops)
    # Whoever takes over does not wait for the interval.
    lease.on_acquired(loop.wake)
    # New weights are moved toward at once, not at the next interval.
    watch = ChannelWatch(store, keys.WEIGHTS_CHANNEL, lambda _: loop.wake())

    async def store_answers() -> None:
        await reply(store.ping())

    return Parts(
        handlers=[Handler(SERVICE, servicer, guard_pb2_grpc.add_GuardServiceServicer_to_server)],
        loops=[loop, PeriodicLoop("weights_watch", watch.run, 1.0, context.loops, vital=False)],
        prepare=prepare,
        checks={"valkey": store_answers},
        close=[partial(channel.close, None)],
    )


def _new_id() -> str:
    return uuid.uuid4().hex


def main() -> None:
    """Run the guard until it is told to stop."""
    service.main("guard", GuardSettings, build)
