"""GatewayService: checks, converts, calls, converts."""

import asyncio

import grpc
from sep.gateway.v1 import gateway_pb2 as pb
from sep.gateway.v1 import gateway_pb2_grpc
from sep_fx.granularity import Granularity
from sep_kit.clock import Clock
from sep_kit.errors import BrokerUnavailableError
from sep_kit.store.candles import CandleStore

from sep_gateway import convert
from sep_gateway.application.candle_loader import CandleLoader
from sep_gateway.application.candle_service import latest_candles
from sep_gateway.application.instrument_cache import InstrumentBook
from sep_gateway.application.order_service import OrderDesk
from sep_gateway.application.price_cache import PriceBoard
from sep_gateway.ports import Broker

_DEFAULT_LIMIT = 120
_DEFAULT_COUNT = 500


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """Answers for the broker and for the candle store."""

    def __init__(
        self,
        instruments: tuple[str, ...],
        granularity: Granularity,
        broker: Broker,
        book: InstrumentBook,
        board: PriceBoard,
        desk: OrderDesk,
        loader: CandleLoader,
        candles: CandleStore,
        clock: Clock,
    ) -> None:
        self._instruments = instruments
        self._granularity = granularity
        self._broker = broker
        self._book = book
        self._board = board
        self._desk = desk
        self._loader = loader
        self._candles = candles
        self._clock = clock

    async def ListCandles(
        self,
        request: pb.ListCandlesRequest,
        context: grpc.aio.ServicerContext[pb.ListCandlesRequest, pb.ListCandlesResponse],
    ) -> pb.ListCandlesResponse:
        """Stored candles, oldest first."""
        granularity = convert.granularity_of(request.granularity, self._granularity)
        # "from" is a keyword of Python, so it has no attribute syntax.
        since = convert.bar_start_of("from", getattr(request, "from"))
        until = convert.bar_start_of("to", request.to)
        convert.check_range(since, until)
        await self._check_known(request.instrument)
        found = await latest_candles(
            self._candles,
            request.instrument,
            granularity,
            request.limit or _DEFAULT_LIMIT,
            since,
            until,
        )
        return pb.ListCandlesResponse(
            instrument=request.instrument,
            granularity=granularity.value,
            candles=[convert.candle_message(c) for c in found],
        )

    async def FetchCandles(
        self,
        request: pb.FetchCandlesRequest,
        context: grpc.aio.ServicerContext[pb.FetchCandlesRequest, pb.FetchCandlesResponse],
    ) -> pb.FetchCandlesResponse:
        """Fetch candles from the broker now and store them."""
        granularity = convert.granularity_of(request.granularity, self._granularity)
        names = tuple(dict.fromkeys(request.instruments)) or self._instruments
        known = [await self._book.get(name) for name in names]
        count = request.count or _DEFAULT_COUNT
        loaded = await asyncio.gather(
            *(self._loader.load_latest(i, granularity, count) for i in known)
        )
        last = await self._candles.last_times(names, granularity)
        answer = pb.FetchCandlesResponse()
        for name, done in zip(names, loaded, strict=True):
            answer.stored.add(
                instrument=name,
                granularity=granularity.value,
                fetched=done.fetched,
                stored=done.stored,
                quarantined=done.quarantined,
                last_ts_ms=last[name] * 1000 if name in last else None,
            )
        return answer

    async def GetAccount(
        self,
        request: pb.GetAccountRequest,
        context: grpc.aio.ServicerContext[pb.GetAccountRequest, pb.GetAccountResponse],
    ) -> pb.GetAccountResponse:
        """The account summary."""
        asked_ns = self._clock.now_ns()
        return convert.account_message(await self._broker.account(), asked_ns)

    async def ListPositions(
        self,
        request: pb.ListPositionsRequest,
        context: grpc.aio.ServicerContext[pb.ListPositionsRequest, pb.ListPositionsResponse],
    ) -> pb.ListPositionsResponse:
        """Open positions."""
        found = await self._broker.positions()
        return pb.ListPositionsResponse(
            positions=[convert.position_message(p) for p in found.positions],
            last_transaction_id=str(found.last_transaction_id),
        )

    async def ListOpenTrades(
        self,
        request: pb.ListOpenTradesRequest,
        context: grpc.aio.ServicerContext[pb.ListOpenTradesRequest, pb.ListOpenTradesResponse],
    ) -> pb.ListOpenTradesResponse:
        """Open trades."""
        found = await self._broker.open_trades()
        return pb.ListOpenTradesResponse(
            trades=[convert.trade_message(t) for t in found.trades],
            last_transaction_id=str(found.last_transaction_id),
        )

    async def ListInstruments(
        self,
        request: pb.ListInstrumentsRequest,
        context: grpc.aio.ServicerContext[pb.ListInstrumentsRequest, pb.ListInstrumentsResponse],
    ) -> pb.ListInstrumentsResponse:
        """Tradeable instruments."""
        return pb.ListInstrumentsResponse(
            instruments=[convert.instrument_message(i) for i in await self._book.all()]
        )

    async def GetPricing(
        self,
        request: pb.GetPricingRequest,
        context: grpc.aio.ServicerContext[pb.GetPricingRequest, pb.GetPricingResponse],
    ) -> pb.GetPricingResponse:
        """Current prices."""
        names = tuple(dict.fromkeys(request.instruments)) or self._instruments
        for name in names:
            await self._book.get(name)
        pricing = await self._board.pricing(names)
        return pb.GetPricingResponse(
            prices=[convert.price_message(p) for p in pricing.prices],
            home_conversions=[convert.conversion_message(c) for c in pricing.conversions],
        )

    async def PlaceMarketOrder(
        self,
        request: pb.PlaceMarketOrderRequest,
        context: grpc.aio.ServicerContext[pb.PlaceMarketOrderRequest, pb.PlaceMarketOrderResponse],
    ) -> pb.PlaceMarketOrderResponse:
        """Send a market order."""
        result = await self._desk.place(convert.market_order(request))
        return pb.PlaceMarketOrderResponse(result=convert.result_message(result))

    async def ClosePosition(
        self,
        request: pb.ClosePositionRequest,
        context: grpc.aio.ServicerContext[pb.ClosePositionRequest, pb.ClosePositionResponse],
    ) -> pb.ClosePositionResponse:
        """Close one side of a position."""
        result = await self._desk.close_position(convert.position_close(request))
        return pb.ClosePositionResponse(result=convert.result_message(result))

    async def CloseTrade(
        self,
        request: pb.CloseTradeRequest,
        context: grpc.aio.ServicerContext[pb.CloseTradeRequest, pb.CloseTradeResponse],
    ) -> pb.CloseTradeResponse:
        """Close a trade."""
        result = await self._desk.close_trade(int(request.trade_id))
        return pb.CloseTradeResponse(result=convert.result_message(result))

    async def GetOrder(
        self,
        request: pb.GetOrderRequest,
        context: grpc.aio.ServicerContext[pb.GetOrderRequest, pb.GetOrderResponse],
    ) -> pb.GetOrderResponse:
        """What became of an order."""
        since = int(request.since_transaction_id) if request.since_transaction_id else None
        result = await self._desk.fate(request.client_order_id, since)
        return pb.GetOrderResponse(result=convert.result_message(result))

    async def _check_known(self, instrument: str) -> None:
        try:
            await self._book.get(instrument)
        except BrokerUnavailableError:
            # What the stack trades is known without the broker, and so are its candles.
            if instrument not in self._instruments:
                raise
