"""Closes of single trades, and their stops. No trade is touched that was opened by hand."""

from collections.abc import Callable

from sep_kit.errors import ForeignTradeError, InvalidArgumentError
from sep_kit.logging import get_logger

from sep_gateway.application.close_outcomes import CloseOutcomes
from sep_gateway.application.instrument_cache import InstrumentCache
from sep_gateway.application.order_checks import OrderChecks
from sep_gateway.application.order_fence import OrderFence
from sep_gateway.application.order_submission import OrderSubmitter, Submission, outcome_fields
from sep_gateway.domain.orders import Decided, OrderResult, OrderState, TradeClose, TradeStop
from sep_gateway.domain.transactions import OWN_TAG
from sep_gateway.ports import Broker

_log = get_logger("OrderService")


class TradeService:
    """Closes trades and sets their stops.

    Args:
        note_close: called with the result of each close.
        note_transaction: called with the newest transaction of each answer.
    """

    def __init__(
        self,
        broker: Broker,
        instruments: InstrumentCache,
        checks: OrderChecks,
        fence: OrderFence,
        submitter: OrderSubmitter,
        *,
        outcomes: CloseOutcomes,
        note_close: Callable[[OrderResult], None],
        note_transaction: Callable[[int], None],
    ) -> None:
        self._broker = broker
        self._instruments = instruments
        self._checks = checks
        self._fence = fence
        self._submitter = submitter
        self._outcomes = outcomes
        self._note_close = note_close
        self._note_transaction = note_transaction

    async def close(self, close: TradeClose, decided: Decided) -> OrderResult:
        """Close a trade or a part of it, or return the outcome of the close of the same id.

        It needs no instrument: a trade whose instrument is traded no more can be closed too.

        Raises:
            InvalidArgumentError: a part is to be closed under no id.
            ReadOnlyError, LiveTradingDisabledError: orders are disabled.
            SepError: as ``OrderSubmitter.submit`` raises.
        """
        if close.units is not None and not close.client_order_id:
            raise InvalidArgumentError(
                "units need a client_order_id: without one a part could be closed twice",
                field="client_order_id",
            )
        self._checks.check_modes()
        result = await self._submitter.submit(
            Submission(
                client_order_id=close.client_order_id,
                decided=decided,
                reduces=True,
                send=lambda _: self._broker.close_trade(close),
                closes=close,
            )
        )
        await self._outcomes.note(close.client_order_id, result)
        self._note_close(result)
        _log.info(
            "trade close",
            trade=close.trade_id,
            client_order_id=close.client_order_id,
            units=str(close.units or "ALL"),
            **outcome_fields(result),
        )
        return result

    async def set_stop(self, stop: TradeStop, decided: Decided) -> OrderResult:
        """Give a trade of this stack a stop loss; sent twice it is one stop.

        Raises:
            ReadOnlyError, LiveTradingDisabledError: orders are disabled.
            StaleTokenError: another writer has taken over.
            ForeignTradeError: the trade was opened by hand.
            BrokerUnavailableError: the broker did not execute it.
        """
        self._checks.check_modes()
        await self._fence.check_token(decided, reduces=True)
        trade = await self._broker.trade(stop.trade_id)
        if trade is None:
            result = OrderResult(
                client_order_id=stop.client_order_id,
                state=OrderState.REJECTED,
                reason="TRADE_DOESNT_EXIST",
            )
        elif trade.client_tag != OWN_TAG:
            raise ForeignTradeError(
                f"trade {stop.trade_id} was not opened by this stack: its stop is left alone"
            )
        else:
            price = await self._instruments.rounded(trade.instrument, stop.price)
            result = await self._broker.set_trade_stop(
                TradeStop(trade_id=stop.trade_id, price=price, client_order_id=stop.client_order_id)
            )
        self._note_transaction(result.last_transaction_id)
        _log.info(
            "trade stop",
            trade=stop.trade_id,
            client_order_id=stop.client_order_id,
            price=str(stop.price),
            **outcome_fields(result),
        )
        return result
