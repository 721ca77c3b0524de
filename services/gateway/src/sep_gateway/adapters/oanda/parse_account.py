"""Parses the account's summary: what decisions need or nothing, the rest where it can be read."""

import re
from decimal import Decimal
from typing import Any

from sep_gateway.adapters.oanda.fields import (
    Fields,
    finite,
    flag,
    not_negative,
    positive,
    text_of,
    whole,
)
from sep_gateway.adapters.oanda.members import PARSE_ERRORS, fault_text
from sep_gateway.adapters.oanda.parse import newest_transaction
from sep_gateway.domain.account import AccountSummary

Json = dict[str, Any]

_NOT_A_NUMBER = Decimal("NaN")
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
# At 1 the broker closes everything; in a fast market it may be seen a little above.
_LARGEST_PERCENT = 2


def account_summary(response: Json) -> AccountSummary:
    """Parses ``/summary``.

    Raises:
        ValueError: what decisions need is missing or can't be read; the text names the field.
    """
    account = response["account"]
    fields = Fields("account", account)
    nav = fields.needed("NAV", _net_asset_value)
    used = fields.needed("marginUsed", not_negative)
    hedging, mode, rate = _kind_fields(fields, account)
    unknown = tuple(member.name for member in fields.odd)
    return AccountSummary(
        id=fields.needed("id", text_of),
        currency=fields.needed("currency", _currency),
        balance=fields.needed("balance", finite),
        nav=nav,
        margin_used=used,
        margin_available=fields.needed("marginAvailable", finite),
        margin_closeout_percent=_closeout_percent(fields, account, used, nav),
        last_transaction_id=newest_transaction(response),
        hedging=hedging,
        guaranteed_stop_mode=mode,
        margin_rate=rate,
        unknown=unknown,
        unrealized_pl=fields.optional("unrealizedPL", finite),
        pl=fields.optional("pl", finite),
        position_value=fields.optional("positionValue", finite),
        open_trade_count=fields.optional("openTradeCount", _count),
        open_position_count=fields.optional("openPositionCount", _count),
        odd=fields.odd,
    )


def _kind_fields(fields: Fields, account: Json) -> tuple[bool | None, str, Decimal | None]:
    """What the account is; a field that can't be read is noted, and the account of unknown kind.

    The broker omits the mode where there are no guaranteed stops, and the rate of an account that
    has none of its own.
    """
    hedging: bool | None = None
    mode, rate = "", None
    try:
        hedging = flag(account["hedgingEnabled"])
    except PARSE_ERRORS as error:
        fields.note("hedgingEnabled", fault_text(error))
    try:
        if "guaranteedStopLossOrderMode" in account:
            mode = text_of(account["guaranteedStopLossOrderMode"])
    except PARSE_ERRORS as error:
        fields.note("guaranteedStopLossOrderMode", fault_text(error))
    try:
        if "marginRate" in account:
            rate = positive(account["marginRate"])
    except PARSE_ERRORS as error:
        fields.note("marginRate", fault_text(error))
    return hedging, mode, rate


def _net_asset_value(text: object) -> Decimal:
    """NAV as sent; NaN for a text that is no finite number, which halts the guard's entries.

    A NAV that is missing is an account that can't be read.
    """
    try:
        return finite(text)
    except ValueError:
        return _NOT_A_NUMBER


def _closeout_percent(fields: Fields, account: Json, margin_used: Decimal, nav: Decimal) -> Decimal:
    """The broker's figure, or the same made from margin and NAV where it can't be read.

    With margin in use and a NAV of zero or below there is no such share: the closeout is due.

    Raises:
        ValueError: neither can be read.
    """
    try:
        percent = not_negative(account.get("marginCloseoutPercent"))
        if percent > _LARGEST_PERCENT:
            raise ValueError(f"{percent} is beyond the closeout")
    except PARSE_ERRORS as error:
        if not nav.is_finite():
            raise ValueError(f"marginCloseoutPercent: {fault_text(error)}; nor can NAV") from error
        fields.note("marginCloseoutPercent", fault_text(error))
    else:
        return percent
    if not margin_used:
        return Decimal(0)
    return margin_used / (2 * nav) if nav > 0 else Decimal(1)


def _count(value: object) -> int:
    count = whole(value)
    if count >= 2**32:
        raise ValueError(f"{count} is beyond any count")
    return count


def _currency(value: object) -> str:
    text = text_of(value)
    if _CURRENCY.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is not a currency")
    return text
