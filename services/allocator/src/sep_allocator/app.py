"""Where the allocator is wired, and nowhere else."""

from sep.allocator.v1 import allocator_pb2_grpc
from sep_fx.sessions import SessionCalendar
from sep_kit import service
from sep_kit.grpc.server import Handler
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts
from sep_kit.store import keys
from sep_kit.store.channel_watch import ChannelWatch
from sep_kit.store.connection import reply

from sep_allocator.allocation_loop import AllocationLoop
from sep_allocator.metrics import AllocatorMetrics
from sep_allocator.servicer import AllocatorServicer
from sep_allocator.settings import AllocatorSettings

SERVICE = "sep.allocator.v1.AllocatorService"


def build(settings: AllocatorSettings, context: Context) -> Parts:
    """Wire the allocator."""
    store, clock = context.store, context.clock
    instruments, limits = settings.hotband_pairs, settings.limits()
    calendar = SessionCalendar(settings.market_calendar, gating=settings.session_trading_enabled)
    allocation = AllocationLoop(
        instruments, calendar, limits, store, context.lease, clock,
        AllocatorMetrics(context.registry, clock),
    )  # fmt: skip
    loop = PeriodicLoop("allocation", allocation.tick, settings.alloc_interval_sec, context.loops)
    # Whoever takes over does not wait for the interval.
    context.lease.on_acquired(loop.wake)
    watch = ChannelWatch(store, keys.GATES_CHANNEL, lambda _: loop.wake(), on_subscribed=loop.wake)
    servicer = AllocatorServicer(instruments, calendar, limits, store, clock)

    async def store_answers() -> None:
        await reply(store.ping())

    return Parts(
        handlers=[
            Handler(SERVICE, servicer, allocator_pb2_grpc.add_AllocatorServiceServicer_to_server)
        ],
        # Without the watch weights still follow every interval.
        loops=[loop, PeriodicLoop("blob_watch", watch.run, 1.0, context.loops, vital=False)],
        checks={"valkey": store_answers},
    )


def main() -> None:
    """Run the allocator until it is told to stop."""
    service.main("allocator", AllocatorSettings, build)
