"""Orders and closes of positions. Each client order id trades at most once."""

from sep_kit.logging import get_logger

from sep_gateway.application.instrument_cache import InstrumentCache
from sep_gateway.application.order_checks import OrderChecks, fitted
from sep_gateway.application.order_submission import OrderSubmitter, Submission, outcome_fields
from sep_gateway.domain.orders import Decided, MarketOrder, OrderResult, PositionClose
from sep_gateway.ports import Broker

_log = get_logger("OrderService")


class OrderService:
    """Market orders, and closes of one side of a position."""

    def __init__(
        self,
        broker: Broker,
        instruments: InstrumentCache,
        checks: OrderChecks,
        submitter: OrderSubmitter,
    ) -> None:
        self._broker = broker
        self._instruments = instruments
        self._checks = checks
        self._submitter = submitter

    async def place(self, order: MarketOrder, decided: Decided) -> OrderResult:
        """Send a market order, or return the outcome of the one sent under the same id.

        Raises:
            ReadOnlyError, LiveTradingDisabledError: orders are disabled.
            UnknownInstrumentError: the broker does not trade it.
            OrderRefusedError: UNITS_BELOW_MINIMUM or UNITS_ABOVE_MAXIMUM.
            SepError: as ``OrderSubmitter.submit`` raises.
        """
        self._checks.check_modes()
        find = self._instruments.get_for_reduction if order.reduce_only else self._instruments.get
        order = fitted(order, await find(order.instrument))
        result = await self._submitter.submit(
            Submission(
                client_order_id=order.client_order_id,
                decided=decided,
                reduces=order.reduce_only,
                send=lambda before: self._broker.create_market_order(order, before),
            )
        )
        _log.info(
            "order",
            client_order_id=result.client_order_id,
            instrument=order.instrument,
            units=str(order.units),
            reduce_only=order.reduce_only,
            price=str(result.fill_price or ""),
            **outcome_fields(result),
        )
        return result

    async def close_position(self, close: PositionClose, decided: Decided) -> OrderResult:
        """Close one side of a position, or return the outcome of the close of the same id.

        Raises: as ``place`` does, except for size limits.
        """
        self._checks.check_modes()
        await self._instruments.check_closable(close.instrument)
        result = await self._submitter.submit(
            Submission(
                client_order_id=close.client_order_id,
                decided=decided,
                reduces=True,
                send=lambda _: self._broker.close_position(close),
            )
        )
        _log.info(
            "position close",
            client_order_id=close.client_order_id,
            instrument=close.instrument,
            **outcome_fields(result),
        )
        return result
