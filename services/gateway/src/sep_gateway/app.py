"""Wires the gateway together."""

import random

from sep.gateway.v1 import gateway_pb2_grpc
from sep_kit import service
from sep_kit.grpc.server import Handler
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts, StartRefusedError
from sep_kit.store import keys
from sep_kit.store.candles import CandleStore
from sep_kit.store.durable_kill_switch import LATE_INTERVAL_S, DurableKillSwitch
from sep_kit.store.halt_file import HaltFile
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.subscription import Subscription

from sep_gateway.adapters.broker_link_store import ValkeyBrokerLinkStore
from sep_gateway.adapters.coverage_store import ValkeyCoverageStore
from sep_gateway.adapters.oanda.broker import OandaBroker
from sep_gateway.adapters.oanda.http import OandaHttp
from sep_gateway.adapters.oanda.streams import OandaStreams
from sep_gateway.adapters.oanda.throttle import Throttles
from sep_gateway.adapters.order_claim_store import ValkeyOrderClaimStore
from sep_gateway.adapters.store_ownership import AccountRecord, ValkeyStoreOwnership
from sep_gateway.application import broker_link
from sep_gateway.application.broker_link import BrokerLink
from sep_gateway.application.candle_audit import CandleAudit
from sep_gateway.application.candle_fetcher import CandleFetcher
from sep_gateway.application.candle_loader import CandleLoader
from sep_gateway.application.candle_service import CandleService
from sep_gateway.application.instrument_cache import InstrumentCache
from sep_gateway.application.ledger_monitor import LedgerMonitor
from sep_gateway.application.ledger_reader import LedgerReader
from sep_gateway.application.order_checks import OrderChecks
from sep_gateway.application.order_claims import OrderClaims
from sep_gateway.application.order_lookup import OrderLookup
from sep_gateway.application.order_service import OrderService
from sep_gateway.application.price_cache import PriceCache
from sep_gateway.application.stream_supervisor import StreamSupervisor
from sep_gateway.domain.universe import Universe
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker, StoreOwnership
from sep_gateway.servicer import GatewayServicer
from sep_gateway.settings import GatewaySettings

_SERVICE = "sep.gateway.v1.GatewayService"
_INSTRUMENTS_CHECK_S = 30.0


def build(settings: GatewaySettings, context: Context) -> Parts:
    """Build the gateway's handlers, loops and health checks."""
    clock, store = context.clock, context.store
    universe = Universe(
        instruments=settings.hotband_pairs,
        granularity=settings.candle_granularity,
        history_days=settings.candle_backfill_days,
    )
    metrics = GatewayMetrics(context.registry)
    http, stream_http = _connections(settings, metrics)
    broker = OandaBroker(http, settings.oanda_account_id)
    streams = OandaStreams(
        stream_http, settings.oanda_account_id, settings.oanda_stream_silence_sec
    )
    instruments = InstrumentCache(broker, clock)
    prices = PriceCache(
        universe,
        broker,
        streams,
        instruments,
        silence_s=settings.oanda_stream_silence_sec,
        clock=clock,
        metrics=metrics,
    )
    ledger = LedgerMonitor(broker, streams, metrics)
    price_stream = StreamSupervisor("prices", prices.follow, metrics, random.random)
    ledger_stream = StreamSupervisor("transactions", ledger.follow, metrics, random.random)
    link = BrokerLink(
        broker,
        ledger,
        price_stream,
        ValkeyBrokerLinkStore(store),
        lease=context.lease,
        clock=clock,
        metrics=metrics,
    )
    candle_store = CandleStore(store)
    loader = CandleLoader(broker, candle_store, clock, metrics)
    folder = settings.kill_switch_dir
    kill_switch = DurableKillSwitch(
        KillSwitch(store), None if folder is None else HaltFile(folder, "gateway"), clock
    )
    orders, lookup = _order_services(
        settings, context, broker, instruments, link, metrics, kill_switch
    )
    servicer = GatewayServicer(
        universe,
        broker=broker,
        instruments=instruments,
        prices=prices,
        candles=CandleService(universe, instruments, loader, candle_store),
        orders=orders,
        lookup=lookup,
        ledger=LedgerReader(broker, ValkeyOrderClaimStore(store), prices),
        clock=clock,
        kill_switch=kill_switch,
    )
    ownership = ValkeyStoreOwnership(
        store,
        AccountRecord(environment=settings.oanda_environment, account_id=settings.oanda_account_id),
    )

    async def prepare() -> None:
        await _refuse_foreign_store(ownership)

    async def check_store() -> str | None:
        # Claimed repeatedly, so that a wiped store is claimed again.
        return await (ownership.claim() if link.account_confirmed else ownership.check())

    return Parts(
        handlers=[
            Handler(_SERVICE, servicer, gateway_pb2_grpc.add_GatewayServiceServicer_to_server)
        ],
        loops=[
            PeriodicLoop("broker_link", link.tick, broker_link.INTERVAL_S, context.loops),
            PeriodicLoop(
                "instruments", instruments.refresh_if_due, _INSTRUMENTS_CHECK_S, context.loops
            ),
            *_candle_loops(settings, context, universe, instruments, candle_store, loader, metrics),
            PeriodicLoop(
                "kill_switch", kill_switch.tick, LATE_INTERVAL_S, context.loops, vital=False
            ),
            # Without streams the gateway polls: slower, but it works.
            Subscription("price_stream", price_stream.run, context.loops),
            Subscription("ledger_stream", ledger_stream.run, context.loops),
        ],
        prepare=prepare,
        checks={"valkey": check_store, "broker": link.check},
        close=[http.close, stream_http.close],
        stored={
            keys.candles(instrument, settings.candle_granularity): "hash"
            for instrument in settings.hotband_pairs
        },
    )


def _connections(settings: GatewaySettings, metrics: GatewayMetrics) -> tuple[OandaHttp, OandaHttp]:
    """Connections to the REST host and to the stream host, which share the rate limits."""
    throttles = Throttles.for_oanda(metrics)
    rest, stream = (
        OandaHttp(url, settings.oanda_api_token, settings.oanda_timeout_sec, throttles, metrics)
        for url in (settings.oanda_api_url, settings.oanda_stream_url)
    )
    return rest, stream


def _order_services(
    settings: GatewaySettings,
    context: Context,
    broker: Broker,
    instruments: InstrumentCache,
    link: BrokerLink,
    metrics: GatewayMetrics,
    kill_switch: DurableKillSwitch,
) -> tuple[OrderService, OrderLookup]:
    """Order placement, and the lookup of order outcomes."""
    claim_store = ValkeyOrderClaimStore(context.store)
    lookup = OrderLookup(broker, claim_store, context.clock, timeout_s=settings.oanda_timeout_sec)
    claims = OrderClaims(claim_store, lookup, link.last_transaction_id, context.clock)
    checks = OrderChecks(settings, kill_switch)
    return OrderService(broker, instruments, checks, claims, lookup, metrics), lookup


def _candle_loops(
    settings: GatewaySettings,
    context: Context,
    universe: Universe,
    instruments: InstrumentCache,
    store: CandleStore,
    loader: CandleLoader,
    metrics: GatewayMetrics,
) -> list[PeriodicLoop]:
    """The candle fetcher and the candle audit."""
    coverage = ValkeyCoverageStore(context.store)
    fetcher = CandleFetcher(
        universe,
        instruments=instruments,
        loader=loader,
        store=store,
        coverage=coverage,
        lease=context.lease,
        clock=context.clock,
        metrics=metrics,
    )
    audit = CandleAudit(
        universe,
        instruments=instruments,
        loader=loader,
        coverage=coverage,
        lease=context.lease,
        clock=context.clock,
        metrics=metrics,
    )

    async def fetch() -> None:
        if await fetcher.tick():
            fetching.wake()

    fetching = PeriodicLoop("candles", fetch, settings.poll_seconds(), context.loops)
    auditing = PeriodicLoop(
        "candle_audit", audit.tick, settings.audit_seconds(), context.loops, vital=False
    )
    return [fetching, auditing]


async def _refuse_foreign_store(ownership: StoreOwnership) -> None:
    """Refuse to start on another account's state.

    Raises:
        StartRefusedError: the store belongs to another account.
        StoreUnavailableError: Valkey does not respond.
    """
    if (fault := await ownership.check()) is not None:
        raise StartRefusedError(fault)


def main() -> None:
    """Run the gateway."""
    service.main("gateway", GatewaySettings, build)
