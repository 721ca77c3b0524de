"""Converts between protobuf messages and the gateway's values.

Candles are converted in ``candles/convert.py``.
"""

from collections.abc import Sequence
from decimal import Decimal

from sep.gateway.v1 import gateway_pb2 as pb
from sep_fx.instants import NS_PER_MS, format_rfc3339
from sep_fx.instrument import Instrument
from sep_kit.store.records import KillSwitchChange

from sep_gateway.application.ledger_reader import LedgerEntry
from sep_gateway.domain.account import AccountSummary, Position, Trade
from sep_gateway.domain.account_kind import AccountKind
from sep_gateway.domain.left_out import LeftOut
from sep_gateway.domain.orders import (
    Decided,
    MarketOrder,
    OrderResult,
    OrderState,
    PositionClose,
    TradeClose,
    TradeStop,
)
from sep_gateway.domain.pricing import HomeConversion, Price
from sep_gateway.domain.transactions import NO_CHARGES, Charges

# In place of a name or an instrument that can't be read.
_ILLEGIBLE = "*"

_STATES = {
    OrderState.FILLED: pb.ORDER_STATE_FILLED,
    OrderState.CANCELLED: pb.ORDER_STATE_CANCELLED,
    OrderState.REJECTED: pb.ORDER_STATE_REJECTED,
    OrderState.UNKNOWN: pb.ORDER_STATE_UNKNOWN,
    OrderState.NOT_FOUND: pb.ORDER_STATE_NOT_FOUND,
    OrderState.PENDING: pb.ORDER_STATE_PENDING,
}


def engage_of(request: pb.EngageKillSwitchRequest) -> KillSwitchChange:
    """The change that a request puts into force."""
    return KillSwitchChange(
        ts=int(request.ts_ms), engaged=True, reason=request.reason, actor=request.actor
    )


def account_message(
    account: AccountSummary, unsupported: Sequence[AccountKind], requested_ns: int
) -> pb.GetAccountResponse:
    """The account summary, dated by when it was requested."""
    return pb.GetAccountResponse(
        id=account.id,
        currency=account.currency,
        balance=_text(account.balance),
        nav=_text(account.nav),
        unrealized_pl=_text(account.unrealized_pl),
        pl=_text(account.pl),
        margin_used=_text(account.margin_used),
        margin_available=_text(account.margin_available),
        position_value=_text(account.position_value),
        margin_closeout_percent=_text(account.margin_closeout_percent),
        open_trade_count=account.open_trade_count or 0,
        open_position_count=account.open_position_count or 0,
        last_transaction_id=str(account.last_transaction_id),
        ts_ms=requested_ns // NS_PER_MS,
        margin_rate=_text(account.margin_rate),
        unsupported_kinds=[kind.value for kind in unsupported],
        hedging_enabled=account.hedging is not False,
        guaranteed_stop_mode=account.guaranteed_stop_mode,
    )


def left_out_message(member: LeftOut) -> pb.LeftOut:
    """A member that was left out."""
    return pb.LeftOut(
        name=member.name or _ILLEGIBLE,
        instrument=member.instrument or _ILLEGIBLE,
        fault=f"{member.kind}: {member.text}",
    )


def transaction_id(text: str) -> int | None:
    """The transaction id of a request; None if the text is empty."""
    return int(text) if text else None


def position_message(position: Position) -> pb.Position:
    """An open position."""
    return pb.Position(
        instrument=position.instrument,
        long_units=_text(position.long_units),
        short_units=_text(position.short_units),
        long_average_price=_text(position.long_average_price),
        short_average_price=_text(position.short_average_price),
        unrealized_pl=_text(position.unrealized_pl),
        margin_used=_text(position.margin_used),
    )


def trade_message(trade: Trade) -> pb.Trade:
    """An open trade."""
    return pb.Trade(
        id=str(trade.id),
        instrument=trade.instrument,
        price=_text(trade.price),
        current_units=_text(trade.current_units),
        initial_units=_text(trade.initial_units),
        unrealized_pl=_text(trade.unrealized_pl),
        open_time="" if trade.opened_ns is None else format_rfc3339(trade.opened_ns),
        client_id=trade.client_id,
        client_tag=trade.client_tag,
        stop_loss_price=_text(trade.stop_loss_price),
        take_profit_price=_text(trade.take_profit_price),
        stop_loss_state=trade.stop_loss_state,
        take_profit_state=trade.take_profit_state,
        financing=_text(trade.financing),
        margin_used=_text(trade.margin_used),
    )


def instrument_message(instrument: Instrument) -> pb.Instrument:
    """The broker's rules for an instrument."""
    return pb.Instrument(
        name=instrument.name,
        display_precision=instrument.display_precision,
        trade_units_precision=instrument.trade_units_precision,
        minimum_trade_size=_text(instrument.minimum_trade_size),
        maximum_order_units=_text(instrument.maximum_order_units),
        margin_rate=_text(instrument.margin_rate),
    )


def price_message(price: Price) -> pb.Price:
    """A price."""
    return pb.Price(
        instrument=price.instrument,
        time=format_rfc3339(price.time_ns),
        ts_ms=price.time_ns // NS_PER_MS,
        bid=_text(price.bid),
        ask=_text(price.ask),
        tradeable=price.tradeable,
    )


def conversion_message(conversion: HomeConversion) -> pb.HomeConversion:
    """Value of a currency in home currency."""
    return pb.HomeConversion(
        currency=conversion.currency,
        account_gain=_text(conversion.account_gain),
        account_loss=_text(conversion.account_loss),
        position_value=_text(conversion.position_value),
    )


def market_order(request: pb.PlaceMarketOrderRequest) -> MarketOrder:
    """The order of a request; the contract has validated that decimals are decimals."""
    return MarketOrder(
        client_order_id=request.client_order_id,
        instrument=request.instrument,
        units=Decimal(request.units),
        reduce_only=request.reduce_only,
        stop_loss_price=_price(request.stop_loss_price),
        take_profit_price=_price(request.take_profit_price),
        price_bound=_price(request.price_bound),
    )


def position_close(request: pb.ClosePositionRequest) -> PositionClose:
    """The position close of a request."""
    return PositionClose(
        request.client_order_id, request.instrument, request.side == pb.POSITION_SIDE_LONG
    )


def trade_close(request: pb.CloseTradeRequest) -> TradeClose:
    """The trade close of a request."""
    return TradeClose(
        trade_id=int(request.trade_id),
        units=Decimal(request.units) if request.units else None,
        client_order_id=request.client_order_id,
    )


def trade_stop(request: pb.SetTradeStopRequest) -> TradeStop:
    """The stop of a request."""
    return TradeStop(
        trade_id=int(request.trade_id),
        price=Decimal(request.stop_loss_price),
        client_order_id=request.client_order_id,
    )


def decided(
    request: pb.PlaceMarketOrderRequest
    | pb.ClosePositionRequest
    | pb.CloseTradeRequest
    | pb.SetTradeStopRequest,
) -> Decided:
    """Under which token an order was decided, and when."""
    return Decided(token=int(request.fencing_token), at_ms=request.decided_at_ms)


def result_message(result: OrderResult) -> pb.OrderResult:
    """The result of an order."""
    return pb.OrderResult(
        client_order_id=result.client_order_id,
        state=_STATES[result.state],
        reason=result.reason,
        filled_units=_text(result.filled_units),
        fill_price=_text(result.fill_price),
        transaction_id=str(result.transaction_id) if result.transaction_id else "",
        message=result.message,
        last_transaction_id=str(result.last_transaction_id) if result.last_transaction_id else "",
    )


def _price(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _text(value: Decimal | None) -> str:
    return "" if value is None else format(value, "f")


def transaction_message(entry: LedgerEntry) -> pb.Transaction:
    """One entry of the ledger."""
    transaction, details = entry.transaction, entry.transaction.details
    message = pb.Transaction(
        id=str(transaction.id),
        ts_ms=details.ts_ms,
        type=transaction.type,
        reason=transaction.reason,
        order_id=transaction.order_id,
        client_order_id=transaction.client_order_id,
        instrument=transaction.instrument,
        units=f"{transaction.units:f}" if transaction.units else "",
        price=_text(transaction.price),
        amount=_text(details.amount),
        account_balance=_text(details.account_balance),
        reduce_only=details.reduce_only,
        own=entry.own,
        fault=details.fault,
        client_tag=transaction.tag,
        trades_closed=[
            pb.TradeClosed(
                trade_id=trade.trade_id,
                units=f"{trade.units:f}",
                price=f"{trade.price:f}",
                realized_pl=f"{trade.realized_pl:f}",
                charges=_charges(trade.charges),
            )
            for trade in details.closed
        ],
        charges=_charges(details.charges),
        trigger_price=_text(details.trigger_price),
        trade_id=details.trade_id,
        trade_amounts=[
            pb.TradeAmount(trade_id=share.trade_id, amount=f"{share.amount:f}")
            for share in details.trade_amounts
        ],
    )
    opened, rate = details.opened, details.home_per_quote
    if opened is not None:
        value = None if rate is None else abs(opened.units) * opened.price * rate
        message.trade_opened.CopyFrom(
            pb.TradeOpened(
                trade_id=opened.trade_id,
                units=f"{opened.units:f}",
                price=f"{opened.price:f}",
                client_tag=opened.client_tag,
                home_value=_text(value),
                charges=_charges(opened.charges),
            )
        )
    return message


def _charges(charges: Charges) -> pb.Charges | None:
    if charges == NO_CHARGES:
        return None
    return pb.Charges(**{name: _text(getattr(charges, name)) for name in charges.__slots__})
