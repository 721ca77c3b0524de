"""GatewayService: converts requests, calls the application, converts results."""

import asyncio

import grpc
from sep.gateway.v1 import gateway_pb2 as pb
from sep.gateway.v1 import gateway_pb2_grpc
from sep_kit.clock import Clock
from sep_kit.store.durable_kill_switch import DurableKillSwitch

from sep_gateway import convert
from sep_gateway.application.account_kinds import AccountKinds
from sep_gateway.application.account_reader import AccountReader
from sep_gateway.application.bounded_turns import BoundedTurns
from sep_gateway.application.candle_service import CandleService
from sep_gateway.application.instrument_cache import InstrumentCache
from sep_gateway.application.ledger_reader import LedgerReader
from sep_gateway.application.order_lookup import OrderLookup
from sep_gateway.application.order_service import OrderService
from sep_gateway.application.price_cache import PriceCache
from sep_gateway.application.trade_service import TradeService
from sep_gateway.candles import convert as convert_candles
from sep_gateway.domain.universe import Universe

_DEFAULT_COUNT = 500
# A read of 5,000 candles takes a tenth of a second, so that the last of them waits about two.
_WAITING_READS = 20


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """Account, instruments, prices, candles and orders over gRPC."""

    def __init__(
        self,
        universe: Universe,
        *,
        account: AccountReader,
        kinds: AccountKinds,
        instruments: InstrumentCache,
        prices: PriceCache,
        candles: CandleService,
        orders: OrderService,
        trades: TradeService,
        lookup: OrderLookup,
        ledger: LedgerReader,
        clock: Clock,
        kill_switch: DurableKillSwitch,
    ) -> None:
        self._kill_switch = kill_switch
        self._ledger = ledger
        self._universe = universe
        self._account = account
        self._kinds = kinds
        self._instruments = instruments
        self._prices = prices
        self._candles = candles
        self._orders = orders
        self._trades = trades
        self._lookup = lookup
        self._clock = clock
        self._candle_reads = BoundedTurns("reads of candles", _WAITING_READS)

    async def ListCandles(
        self,
        request: pb.ListCandlesRequest,
        context: grpc.aio.ServicerContext[pb.ListCandlesRequest, pb.ListCandlesResponse],
    ) -> pb.ListCandlesResponse:
        """Stored candles, oldest first."""
        query = convert_candles.candle_query(request, self._universe.granularity)
        response = pb.ListCandlesResponse(
            instrument=query.instrument, granularity=query.granularity.value
        )
        # One at a time: a flood of reads waits here, and not in front of orders.
        async with self._candle_reads.turn():
            for part in convert_candles.slices(await self._candles.stored(query)):
                convert_candles.add_candles(response, part)
                # Orders and other reads go on between the slices.
                await asyncio.sleep(0)
        return response

    async def FetchCandles(
        self,
        request: pb.FetchCandlesRequest,
        context: grpc.aio.ServicerContext[pb.FetchCandlesRequest, pb.FetchCandlesResponse],
    ) -> pb.FetchCandlesResponse:
        """Fetch candles from the broker now and store them."""
        granularity = convert_candles.granularity_of(
            request.granularity, self._universe.granularity
        )
        fetched = await self._candles.fetch(
            request.instruments, granularity, request.count or _DEFAULT_COUNT
        )
        return pb.FetchCandlesResponse(
            stored=[convert_candles.stored_candles_message(f, granularity) for f in fetched]
        )

    async def GetAccount(
        self,
        request: pb.GetAccountRequest,
        context: grpc.aio.ServicerContext[pb.GetAccountRequest, pb.GetAccountResponse],
    ) -> pb.GetAccountResponse:
        """The account summary."""
        requested_ns = self._clock.now_ns()
        found = await self._account.account(convert.transaction_id(request.min_transaction_id))
        return convert.account_message(found, self._kinds.current, requested_ns)

    async def ListPositions(
        self,
        request: pb.ListPositionsRequest,
        context: grpc.aio.ServicerContext[pb.ListPositionsRequest, pb.ListPositionsResponse],
    ) -> pb.ListPositionsResponse:
        """Open positions."""
        found = await self._account.positions(convert.transaction_id(request.min_transaction_id))
        return pb.ListPositionsResponse(
            positions=[convert.position_message(p) for p in found.positions],
            last_transaction_id=str(found.last_transaction_id),
            left_out=[convert.left_out_message(m) for m in found.left_out],
        )

    async def ListOpenTrades(
        self,
        request: pb.ListOpenTradesRequest,
        context: grpc.aio.ServicerContext[pb.ListOpenTradesRequest, pb.ListOpenTradesResponse],
    ) -> pb.ListOpenTradesResponse:
        """Open trades."""
        found = await self._account.open_trades(convert.transaction_id(request.min_transaction_id))
        return pb.ListOpenTradesResponse(
            trades=[convert.trade_message(t) for t in found.trades],
            last_transaction_id=str(found.last_transaction_id),
            left_out=[convert.left_out_message(m) for m in found.left_out],
        )

    async def ListInstruments(
        self,
        request: pb.ListInstrumentsRequest,
        context: grpc.aio.ServicerContext[pb.ListInstrumentsRequest, pb.ListInstrumentsResponse],
    ) -> pb.ListInstrumentsResponse:
        """Tradeable instruments."""
        return pb.ListInstrumentsResponse(
            instruments=[convert.instrument_message(i) for i in await self._instruments.all()],
            left_out=[convert.left_out_message(m) for m in self._instruments.left_out],
        )

    async def GetPricing(
        self,
        request: pb.GetPricingRequest,
        context: grpc.aio.ServicerContext[pb.GetPricingRequest, pb.GetPricingResponse],
    ) -> pb.GetPricingResponse:
        """Current prices."""
        pricing = await self._prices.pricing(request.instruments)
        return pb.GetPricingResponse(
            prices=[convert.price_message(p) for p in pricing.prices],
            home_conversions=[convert.conversion_message(c) for c in pricing.conversions],
            left_out=[convert.left_out_message(m) for m in pricing.left_out],
        )

    async def PlaceMarketOrder(
        self,
        request: pb.PlaceMarketOrderRequest,
        context: grpc.aio.ServicerContext[pb.PlaceMarketOrderRequest, pb.PlaceMarketOrderResponse],
    ) -> pb.PlaceMarketOrderResponse:
        """Send a market order."""
        result = await self._orders.place(convert.market_order(request), convert.decided(request))
        return pb.PlaceMarketOrderResponse(result=convert.result_message(result))

    async def ClosePosition(
        self,
        request: pb.ClosePositionRequest,
        context: grpc.aio.ServicerContext[pb.ClosePositionRequest, pb.ClosePositionResponse],
    ) -> pb.ClosePositionResponse:
        """Close one side of a position."""
        result = await self._orders.close_position(
            convert.position_close(request), convert.decided(request)
        )
        return pb.ClosePositionResponse(result=convert.result_message(result))

    async def CloseTrade(
        self,
        request: pb.CloseTradeRequest,
        context: grpc.aio.ServicerContext[pb.CloseTradeRequest, pb.CloseTradeResponse],
    ) -> pb.CloseTradeResponse:
        """Close a trade, or a part of it."""
        result = await self._trades.close(convert.trade_close(request), convert.decided(request))
        return pb.CloseTradeResponse(result=convert.result_message(result))

    async def SetTradeStop(
        self,
        request: pb.SetTradeStopRequest,
        context: grpc.aio.ServicerContext[pb.SetTradeStopRequest, pb.SetTradeStopResponse],
    ) -> pb.SetTradeStopResponse:
        """Give a trade a stop loss."""
        result = await self._trades.set_stop(convert.trade_stop(request), convert.decided(request))
        return pb.SetTradeStopResponse(result=convert.result_message(result))

    async def GetOrder(
        self,
        request: pb.GetOrderRequest,
        context: grpc.aio.ServicerContext[pb.GetOrderRequest, pb.GetOrderResponse],
    ) -> pb.GetOrderResponse:
        """The outcome of an order."""
        since = convert.transaction_id(request.since_transaction_id)
        result = await self._lookup.find(request.client_order_id, since)
        return pb.GetOrderResponse(result=convert.result_message(result))

    async def EngageKillSwitch(
        self,
        request: pb.EngageKillSwitchRequest,
        context: grpc.aio.ServicerContext[pb.EngageKillSwitchRequest, pb.EngageKillSwitchResponse],
    ) -> pb.EngageKillSwitchResponse:
        """Put an engage into force that the store has not taken yet."""
        await self._kill_switch.hold(convert.engage_of(request))
        return pb.EngageKillSwitchResponse()

    async def ListTransactions(
        self,
        request: pb.ListTransactionsRequest,
        context: grpc.aio.ServicerContext[pb.ListTransactionsRequest, pb.ListTransactionsResponse],
    ) -> pb.ListTransactionsResponse:
        """The account's ledger between two transactions."""
        through = convert.transaction_id(request.through_transaction_id)
        part = await self._ledger.read(int(request.since_transaction_id), through)
        return pb.ListTransactionsResponse(
            transactions=[convert.transaction_message(entry) for entry in part.entries],
            last_transaction_id=str(part.last_id),
            whole=part.whole,
        )
