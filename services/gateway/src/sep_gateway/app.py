"""Wires the gateway together."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from sep.gateway.v1 import gateway_pb2_grpc
from sep_kit import service
from sep_kit.grpc.server import Handler
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts
from sep_kit.store import keys
from sep_kit.store.candles import CandleStore
from sep_kit.store.durable_kill_switch import LATE_INTERVAL_S, DurableKillSwitch
from sep_kit.store.halt_file import HaltFile
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.subscription import Subscription

from sep_gateway.adapters.broker_link_store import ValkeyBrokerLinkStore
from sep_gateway.adapters.coverage_store import ValkeyCoverageStore
from sep_gateway.adapters.oanda.broker import OandaBroker
from sep_gateway.adapters.oanda.date_header import DateHeader
from sep_gateway.adapters.oanda.http import OandaHttp
from sep_gateway.adapters.oanda.streams import OandaStreams
from sep_gateway.adapters.oanda.throttle import Throttles
from sep_gateway.adapters.order_claim_store import CLAIM_TTL_S, ValkeyOrderClaimStore
from sep_gateway.adapters.order_fence_store import ValkeyFenceStore
from sep_gateway.adapters.store_ownership import AccountRecord, ValkeyStoreOwnership
from sep_gateway.application import broker_link
from sep_gateway.application.account_kinds import AccountKinds
from sep_gateway.application.account_reader import AccountReader
from sep_gateway.application.broker_link import BrokerLink
from sep_gateway.application.candle_audit import CandleAudit
from sep_gateway.application.candle_fetcher import CandleFetcher
from sep_gateway.application.candle_loader import CandleLoader
from sep_gateway.application.candle_service import CandleService
from sep_gateway.application.close_outcomes import CloseOutcomes
from sep_gateway.application.instrument_cache import InstrumentCache
from sep_gateway.application.ledger_monitor import LedgerMonitor
from sep_gateway.application.ledger_reader import LedgerReader
from sep_gateway.application.left_out_members import LeftOutMembers
from sep_gateway.application.link_report import LinkReport
from sep_gateway.application.newest_transaction import NewestTransaction
from sep_gateway.application.order_checks import OrderChecks
from sep_gateway.application.order_claims import OrderClaims
from sep_gateway.application.order_fence import OrderFence
from sep_gateway.application.order_lookup import OrderLookup
from sep_gateway.application.order_service import OrderService
from sep_gateway.application.order_submission import OrderSubmitter
from sep_gateway.application.price_cache import PriceCache
from sep_gateway.application.startup import Startup
from sep_gateway.application.stream_supervisor import StreamSupervisor
from sep_gateway.application.trade_service import TradeService
from sep_gateway.application.unclaimed_orders import UnclaimedOrders
from sep_gateway.domain.clock_skew import ClockSkew
from sep_gateway.domain.universe import Universe
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker
from sep_gateway.servicer import GatewayServicer
from sep_gateway.settings import GatewaySettings

_SERVICE = "sep.gateway.v1.GatewayService"
_INSTRUMENTS_CHECK_S = 30.0


def _new_id() -> str:
    return uuid.uuid4().hex


def build(settings: GatewaySettings, context: Context) -> Parts:
    """Build the gateway's handlers, loops and health checks."""
    clock, store = context.clock, context.store
    universe = Universe(
        instruments=settings.hotband_pairs,
        granularity=settings.candle_granularity,
        history_days=settings.candle_backfill_days,
    )
    metrics = GatewayMetrics(context.registry)
    skew = ClockSkew()
    http, stream_http = _connections(settings, metrics, DateHeader(skew, clock))
    broker = OandaBroker(http, settings.oanda_account_id)
    streams = OandaStreams(
        stream_http, settings.oanda_account_id, settings.oanda_stream_silence_sec
    )
    left_out = LeftOutMembers(metrics)
    newest = NewestTransaction(broker, metrics)
    kinds = AccountKinds(broker, clock, metrics)
    instruments = InstrumentCache(universe, broker, clock, left_out)

    def on_heartbeat(broker_ns: int) -> None:
        skew.heartbeat(broker_ns, clock.now_ns())

    prices = PriceCache(
        universe,
        broker,
        streams,
        instruments,
        silence_s=settings.oanda_stream_silence_sec,
        clock=clock,
        metrics=metrics,
        left_out=left_out,
        on_heartbeat=on_heartbeat,
    )
    ledger = LedgerMonitor(
        broker, streams, metrics, newest=newest, left_out=left_out, on_heartbeat=on_heartbeat
    )
    price_stream = StreamSupervisor("prices", prices.follow, metrics, random.random)
    ledger_stream = StreamSupervisor("transactions", ledger.follow, metrics, random.random)
    ownership = ValkeyStoreOwnership(
        store,
        AccountRecord(environment=settings.oanda_environment, account_id=settings.oanda_account_id),
    )
    startup = Startup(broker, ownership, kinds, settings.what_to_check())
    link = BrokerLink(
        broker,
        ledger,
        kinds,
        LinkReport(ledger, price_stream, kinds, left_out, skew, clock=clock, metrics=metrics),
        ValkeyBrokerLinkStore(store),
        startup.refusal,
        lease=context.lease,
        clock=clock,
        metrics=metrics,
    )
    candle_store = CandleStore(store)
    loader = CandleLoader(broker, candle_store, clock, metrics, left_out)
    folder = settings.kill_switch_dir
    kill_switch = DurableKillSwitch(
        KillSwitch(store), None if folder is None else HaltFile(folder, "gateway"), clock
    )
    checks = OrderChecks(settings, kill_switch, kinds)
    orders = _order_services(settings, context, broker, instruments, newest, kinds, checks, metrics)
    servicer = GatewayServicer(
        universe,
        account=AccountReader(broker, newest, kinds, left_out, metrics),
        kinds=kinds,
        instruments=instruments,
        prices=prices,
        candles=CandleService(universe, instruments, loader, candle_store),
        orders=orders.orders,
        trades=orders.trades,
        lookup=orders.lookup,
        ledger=LedgerReader(
            broker,
            orders.claim_store,
            orders.unclaimed,
            prices,
            left_out,
            clock,
            claims_live_s=CLAIM_TTL_S,
        ),
        clock=clock,
        kill_switch=kill_switch,
    )

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
        prepare=startup.run,
        checks={"valkey": check_store, "broker": link.check},
        close=[http.close, stream_http.close],
        stored={
            keys.candles(instrument, settings.candle_granularity): "hash"
            for instrument in settings.hotband_pairs
        },
    )


def _connections(
    settings: GatewaySettings, metrics: GatewayMetrics, on_date: Callable[[str], None]
) -> tuple[OandaHttp, OandaHttp]:
    """Connections to the REST host and to the stream host, which share the rate limits."""
    throttles = Throttles.for_oanda(metrics)
    rest, stream = (
        OandaHttp(
            url, settings.oanda_api_token, settings.oanda_timeout_sec, throttles, metrics, on_date
        )
        for url in (settings.oanda_api_url, settings.oanda_stream_url)
    )
    return rest, stream


@dataclass(frozen=True, slots=True)
class _Orders:
    """Order placement, trades, and the lookup of order outcomes."""

    orders: OrderService
    trades: TradeService
    lookup: OrderLookup
    claim_store: ValkeyOrderClaimStore
    unclaimed: UnclaimedOrders


def _order_services(
    settings: GatewaySettings,
    context: Context,
    broker: Broker,
    instruments: InstrumentCache,
    newest: NewestTransaction,
    kinds: AccountKinds,
    checks: OrderChecks,
    metrics: GatewayMetrics,
) -> _Orders:
    claim_store = ValkeyOrderClaimStore(context.store)
    unclaimed = UnclaimedOrders(claim_store)
    outcomes = CloseOutcomes(claim_store)
    lookup = OrderLookup(
        broker,
        claim_store,
        unclaimed,
        outcomes,
        context.clock,
        timeout_s=settings.oanda_timeout_sec,
    )
    claims = OrderClaims(claim_store, unclaimed, lookup, newest.known, context.clock, _new_id)
    fence = OrderFence(ValkeyFenceStore(context.store), context.clock, settings.order_max_age_sec)
    submitter = OrderSubmitter(checks, fence, claims, lookup, metrics, newest.note)
    return _Orders(
        OrderService(broker, instruments, checks, submitter),
        TradeService(
            broker,
            instruments,
            checks,
            fence,
            submitter,
            outcomes=outcomes,
            note_close=kinds.note_close,
            note_transaction=newest.note,
        ),
        lookup,
        claim_store,
        unclaimed,
    )


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


def main() -> None:
    """Run the gateway."""
    service.main("gateway", GatewaySettings, build)
