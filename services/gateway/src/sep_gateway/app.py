"""Wires the gateway; the only place where its parts meet."""

import random

from sep.gateway.v1 import gateway_pb2_grpc
from sep_kit import service
from sep_kit.grpc.server import Handler
from sep_kit.loop import PeriodicLoop
from sep_kit.service import Context, Parts, StartRefusedError
from sep_kit.store.candles import CandleStore
from sep_kit.store.kill_switch import KillSwitch

from sep_gateway.adapters.coverage_store import ValkeyCoverage
from sep_gateway.adapters.oanda.broker import OandaBroker
from sep_gateway.adapters.oanda.http import OandaHttp
from sep_gateway.adapters.oanda.streams import OandaStreams
from sep_gateway.adapters.oanda.throttle import Paces
from sep_gateway.adapters.order_claim_store import ValkeyOrderClaims
from sep_gateway.adapters.store_account import AccountRecord, StoreAccount
from sep_gateway.application import broker_link
from sep_gateway.application.broker_link import BrokerLink
from sep_gateway.application.candle_audit import CandleAudit
from sep_gateway.application.candle_fetcher import CandleFetcher
from sep_gateway.application.candle_loader import CandleLoader
from sep_gateway.application.instrument_cache import InstrumentBook
from sep_gateway.application.ledger_monitor import LedgerWatch
from sep_gateway.application.order_service import OrderDesk
from sep_gateway.application.price_cache import PriceBoard
from sep_gateway.application.stream_supervisor import StreamKeeper
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.servicer import GatewayServicer
from sep_gateway.settings import GatewaySettings

_SERVICE = "sep.gateway.v1.GatewayService"
_BOOK_CHECK_S = 30.0


def build(settings: GatewaySettings, context: Context) -> Parts:
    """The gateway's parts."""
    clock, store, lease = context.clock, context.store, context.lease
    pairs, granularity = settings.hotband_pairs, settings.candle_granularity
    metrics = GatewayMetrics(context.registry)
    paces = Paces.of_oanda(metrics)
    http, stream_http = (
        OandaHttp(url, settings.oanda_api_token, settings.oanda_timeout_sec, paces, metrics)
        for url in (settings.oanda_api_url, settings.oanda_stream_url)
    )
    broker = OandaBroker(http, settings.oanda_account_id)
    streams = OandaStreams(
        stream_http, settings.oanda_account_id, settings.oanda_stream_silence_sec
    )
    book = InstrumentBook(broker, clock)
    board = PriceBoard(
        broker, streams, book, pairs, settings.oanda_stream_silence_sec, clock, metrics
    )
    ledger = LedgerWatch(broker, streams, metrics)
    price_keeper = StreamKeeper("prices", board.listen, metrics, random.random)
    ledger_keeper = StreamKeeper("transactions", ledger.listen, metrics, random.random)
    link = BrokerLink(broker, ledger, price_keeper, store, lease, clock, metrics)
    candles = CandleStore(store)
    loader = CandleLoader(broker, candles, clock, metrics)
    coverage = ValkeyCoverage(store)
    days = settings.candle_backfill_days
    fetcher = CandleFetcher(
        pairs,
        granularity,
        days,
        book=book,
        loader=loader,
        candles=candles,
        coverage=coverage,
        lease=lease,
        clock=clock,
        metrics=metrics,
    )
    audit = CandleAudit(
        pairs,
        granularity,
        days,
        book=book,
        loader=loader,
        coverage=coverage,
        lease=lease,
        clock=clock,
        metrics=metrics,
    )
    desk = OrderDesk(
        broker,
        ValkeyOrderClaims(store),
        book,
        link.last_transaction_id,
        settings,
        KillSwitch(store),
        settings.oanda_timeout_sec,
        clock,
        metrics,
    )
    servicer = GatewayServicer(
        pairs, granularity, broker, book, board, desk, loader, candles, clock
    )

    async def fetch() -> None:
        if await fetcher.tick():
            fetching.wake()

    fetching = PeriodicLoop("candles", fetch, settings.poll_seconds(), context.loops)
    heartbeat = PeriodicLoop("broker_link", link.tick, broker_link.INTERVAL_S, context.loops)

    account = StoreAccount(
        store,
        AccountRecord(environment=settings.oanda_environment, account_id=settings.oanda_account_id),
    )

    async def prepare() -> None:
        """Before the first candle: another market's state is worse than none."""
        if (fault := await account.check()) is not None:
            raise StartRefusedError(fault)

    async def check_store() -> str | None:
        # Claimed again and again: a store that was wiped still belongs to somebody.
        return await (account.claim() if link.was_heard else account.check())

    return Parts(
        handlers=[
            Handler(_SERVICE, servicer, gateway_pb2_grpc.add_GatewayServiceServicer_to_server)
        ],
        loops=[
            heartbeat,
            PeriodicLoop("instruments", book.keep_fresh, _BOOK_CHECK_S, context.loops),
            fetching,
            PeriodicLoop(
                "candle_audit", audit.tick, settings.audit_seconds(), context.loops, vital=False
            ),
            # Without its streams the gateway asks instead: slower, but it works.
            PeriodicLoop("price_stream", price_keeper.run, 1.0, context.loops, vital=False),
            PeriodicLoop("ledger_stream", ledger_keeper.run, 1.0, context.loops, vital=False),
        ],
        prepare=prepare,
        checks={"valkey": check_store, "broker": link.check},
        close=[http.close, stream_http.close],
    )


def main() -> None:
    """Run the gateway."""
    service.main("gateway", GatewaySettings, build)
