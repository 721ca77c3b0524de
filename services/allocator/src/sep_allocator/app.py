"""Wires the allocator's parts together."""

from sep.allocator.v1 import allocator_pb2_grpc
from sep_fx.sessions import SessionCalendar
from sep_kit import service
from sep_kit.grpc.server import Handler
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts
from sep_kit.store import keys
from sep_kit.store.channel_watch import ChannelWatch
from sep_kit.store.connection import reply
from sep_kit.subscription import Subscription

from sep_allocator.adapters.valkey_store import ValkeyAllocatorStore
from sep_allocator.application.allocation_loop import AllocationLoop
from sep_allocator.metrics import AllocatorMetrics
from sep_allocator.servicer import AllocatorServicer
from sep_allocator.settings import AllocatorSettings

SERVICE = "sep.allocator.v1.AllocatorService"


def build(settings: AllocatorSettings, context: Context) -> Parts:
    """Build the allocator's parts from its settings."""
    valkey, clock = context.store, context.clock
    instruments, limits = settings.hotband_pairs, settings.limits()
    calendar = SessionCalendar(settings.market_calendar, gating=settings.session_trading_enabled)
    store = ValkeyAllocatorStore(valkey, context.lease)
    allocation = AllocationLoop(
        instruments, calendar, limits, store, clock, AllocatorMetrics(context.registry, clock)
    )
    loop = PeriodicLoop("allocation", allocation.tick, settings.alloc_interval_sec, context.loops)
    # A replica that takes the lease allocates at once.
    context.lease.on_acquired(loop.wake)
    watch = ChannelWatch(valkey, keys.GATES_CHANNEL, lambda _: loop.wake(), on_subscribed=loop.wake)
    servicer = AllocatorServicer(instruments, calendar, limits, store, clock)

    async def check_valkey() -> None:
        await reply(valkey.ping())

    return Parts(
        handlers=[
            Handler(SERVICE, servicer, allocator_pb2_grpc.add_AllocatorServiceServicer_to_server)
        ],
        # The watch is not vital: without it weights are still updated at every interval.
        loops=[loop, Subscription("blob_watch", watch.run, context.loops)],
        checks={"valkey": check_valkey},
    )


def main() -> None:
    """Run the allocator until SIGTERM or SIGINT."""
    service.main("allocator", AllocatorSettings, build)
