"""Validation of order requests. The first fault found is returned."""

from decimal import Decimal

from sep_fx.instrument import Instrument

from sep_paper_broker.account.book import Book
from sep_paper_broker.account.conversion import NoConversionError
from sep_paper_broker.orders.reasons import RejectReason
from sep_paper_broker.orders.requests import (
    ClientExtensions,
    MarketOrderRequest,
    StopLossDetails,
    TakeProfitDetails,
    TimeInForce,
)

_MAX_TEXT = 128
_IMMEDIATE = (TimeInForce.FOK, TimeInForce.IOC)

R = RejectReason


def check_market_order(book: Book, request: MarketOrderRequest) -> RejectReason | None:
    """The reason to reject a market order; None if it is valid."""
    instrument = book.instruments.get(request.instrument)
    if instrument is None:
        return R.INSTRUMENT_UNKNOWN
    if not _has_price(book, instrument):
        return R.INSTRUMENT_PRICE_UNKNOWN
    return (
        _check_units(instrument, request.units)
        or (None if request.time_in_force in _IMMEDIATE else R.TIME_IN_FORCE_INVALID)
        or _check_bound(instrument, request.price_bound)
        or check_order_extensions(book, request.client_extensions)
        or check_trade_extensions(book, request.trade_client_extensions)
        or check_take_profit_on_fill(instrument, request.take_profit_on_fill)
        or check_stop_loss_on_fill(instrument, request.stop_loss_on_fill)
    )


def check_order_extensions(book: Book, extensions: ClientExtensions | None) -> RejectReason | None:
    """The reason to reject the client extensions of an order."""
    if extensions is None:
        return None
    if extensions.id is not None:
        if not _is_id(extensions.id):
            return R.CLIENT_ORDER_ID_INVALID
        if book.order_client_id_taken(extensions.id):
            return R.CLIENT_ORDER_ID_ALREADY_EXISTS
    if _too_long(extensions.tag):
        return R.CLIENT_ORDER_TAG_INVALID
    return R.CLIENT_ORDER_COMMENT_INVALID if _too_long(extensions.comment) else None


def check_trade_extensions(book: Book, extensions: ClientExtensions | None) -> RejectReason | None:
    """The reason to reject the client extensions of a trade."""
    if extensions is None:
        return None
    if extensions.id is not None:
        if not _is_id(extensions.id):
            return R.CLIENT_TRADE_ID_INVALID
        if book.trade_client_id_taken(extensions.id):
            return R.CLIENT_TRADE_ID_ALREADY_EXISTS
    if _too_long(extensions.tag):
        return R.CLIENT_TRADE_TAG_INVALID
    return R.CLIENT_TRADE_COMMENT_INVALID if _too_long(extensions.comment) else None


def check_take_profit_on_fill(
    instrument: Instrument, details: TakeProfitDetails | None
) -> RejectReason | None:
    """The reason to reject a take profit on fill."""
    if details is None:
        return None
    return _first_of(
        (details.price <= 0, R.TAKE_PROFIT_ON_FILL_PRICE_INVALID),
        (
            not _is_price(instrument, details.price),
            R.TAKE_PROFIT_ON_FILL_PRICE_PRECISION_EXCEEDED,
        ),
        (
            details.time_in_force is not TimeInForce.GTC,
            R.TAKE_PROFIT_ON_FILL_TIME_IN_FORCE_INVALID,
        ),
        (not _fits(details.client_extensions), R.TAKE_PROFIT_ON_FILL_CLIENT_ORDER_ID_INVALID),
    )


def check_stop_loss_on_fill(
    instrument: Instrument, details: StopLossDetails | None
) -> RejectReason | None:
    """The reason to reject a stop loss on fill."""
    if details is None:
        return None
    price, distance = details.price, details.distance
    return _first_of(
        (details.guaranteed, R.STOP_LOSS_ON_FILL_GUARANTEED_NOT_ALLOWED),
        (
            price is not None and distance is not None,
            R.STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_SPECIFIED,
        ),
        (
            price is None and distance is None,
            R.STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_MISSING,
        ),
        (price is not None and price <= 0, R.STOP_LOSS_ON_FILL_PRICE_INVALID),
        (not _is_price(instrument, price), R.STOP_LOSS_ON_FILL_PRICE_PRECISION_EXCEEDED),
        (distance is not None and distance <= 0, R.STOP_LOSS_ON_FILL_DISTANCE_INVALID),
        (not _is_price(instrument, distance), R.STOP_LOSS_ON_FILL_DISTANCE_PRECISION_EXCEEDED),
        (
            details.time_in_force is not TimeInForce.GTC,
            R.STOP_LOSS_ON_FILL_TIME_IN_FORCE_INVALID,
        ),
        (not _fits(details.client_extensions), R.STOP_LOSS_ON_FILL_CLIENT_ORDER_ID_INVALID),
    )


def check_take_profit(
    book: Book, instrument: Instrument, details: TakeProfitDetails
) -> RejectReason | None:
    """The reason to reject a take profit of an open trade."""
    return _first_of(
        (details.price <= 0, R.PRICE_INVALID),
        (not _is_price(instrument, details.price), R.PRICE_PRECISION_EXCEEDED),
        (details.time_in_force is not TimeInForce.GTC, R.TIME_IN_FORCE_INVALID),
    ) or check_order_extensions(book, details.client_extensions)


def check_stop_loss(
    book: Book, instrument: Instrument, details: StopLossDetails
) -> RejectReason | None:
    """The reason to reject a stop loss of an open trade."""
    price, distance = details.price, details.distance
    return _first_of(
        (details.guaranteed, R.STOP_LOSS_ORDER_GUARANTEED_NOT_ALLOWED),
        (
            price is not None and distance is not None,
            R.STOP_LOSS_ORDER_PRICE_AND_DISTANCE_BOTH_SPECIFIED,
        ),
        (
            price is None and distance is None,
            R.STOP_LOSS_ORDER_PRICE_AND_DISTANCE_BOTH_MISSING,
        ),
        (price is not None and price <= 0, R.PRICE_INVALID),
        (not _is_price(instrument, price), R.PRICE_PRECISION_EXCEEDED),
        (distance is not None and distance <= 0, R.PRICE_DISTANCE_INVALID),
        (not _is_price(instrument, distance), R.PRICE_DISTANCE_PRECISION_EXCEEDED),
        (details.time_in_force is not TimeInForce.GTC, R.TIME_IN_FORCE_INVALID),
    ) or check_order_extensions(book, details.client_extensions)


def _first_of(*faults: tuple[bool, RejectReason]) -> RejectReason | None:
    return next((reason for found, reason in faults if found), None)


def _has_price(book: Book, instrument: Instrument) -> bool:
    if instrument.name not in book.quotes:
        return False
    try:
        book.conversion.factors(instrument.quote)
    except NoConversionError:
        return False
    return True


def _check_units(instrument: Instrument, units: Decimal) -> RejectReason | None:
    if units != instrument.round_units(units):
        return R.UNITS_PRECISION_EXCEEDED
    if not units:
        return R.UNITS_INVALID
    if abs(units) < instrument.minimum_trade_size:
        return R.UNITS_MINIMUM_NOT_MET
    return R.UNITS_LIMIT_EXCEEDED if abs(units) > instrument.maximum_order_units else None


def _check_bound(instrument: Instrument, bound: Decimal | None) -> RejectReason | None:
    if bound is None:
        return None
    if bound <= 0:
        return R.PRICE_BOUND_INVALID
    return None if _is_price(instrument, bound) else R.PRICE_BOUND_PRECISION_EXCEEDED


def _is_price(instrument: Instrument, price: Decimal | None) -> bool:
    return price is None or price == instrument.round_price(price)


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _MAX_TEXT


def _too_long(text: str | None) -> bool:
    return text is not None and len(text) > _MAX_TEXT


def _fits(extensions: ClientExtensions | None) -> bool:
    if extensions is None:
        return True
    id_fits = extensions.id is None or _is_id(extensions.id)
    return id_fits and not _too_long(extensions.tag) and not _too_long(extensions.comment)
