"""Parses the broker's candles into a page of columns."""

import re
from decimal import Decimal
from itertools import chain
from typing import Any

import numpy as np
from sep_fx.instants import parse_rfc3339

from sep_gateway.domain.candle_page import CandlePage, Fault

Json = dict[str, Any]

# The format of a valid page. Years are limited to those that 64-bit nanoseconds can hold.
_TIMES = re.compile(r"(?:(?:19|20|21)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z )*", re.ASCII)
_PRICE = re.compile(r"\d{1,9}(?:\.(\d{1,9}))?", re.ASCII)
_NUMBER = re.compile(
    r"[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d{1,3})?|nan|inf(?:inity)?)", re.ASCII | re.IGNORECASE
)


def candles(response: Json) -> CandlePage:
    """Parses ``/candles``; an invalid candle becomes a fault of its row.

    Raises:
        KeyError, TypeError: there is no list of candles.
    """
    entries = response["candles"]
    if not isinstance(entries, list):
        raise TypeError("candles is not a list")
    page = _regular_page(entries)
    if page is not None:
        return page
    return CandlePage.concatenate([_row(entry) for entry in entries])


def _regular_page(entries: list[Any]) -> CandlePage | None:
    """All entries at once; None unless every entry has exactly the regular format."""
    if not entries:
        return CandlePage.empty()
    try:
        times = " ".join([entry["time"] for entry in entries]) + " "
        complete = [entry["complete"] for entry in entries]
        volume = [entry["volume"] for entry in entries]
        # Bid and ask alternate, four prices each.
        prices = list(
            chain.from_iterable(
                (side["o"], side["h"], side["l"], side["c"])
                for entry in entries
                for side in (entry["bid"], entry["ask"])
            )
        )
        first = _PRICE.fullmatch(prices[0])
        if first is None or set(map(type, complete)) != {bool} or set(map(type, volume)) != {int}:
            return None
        digits = len(first[1] or "")
        text = " ".join(prices) + " "
        if not (_TIMES.fullmatch(times) and _prices_pattern(digits).fullmatch(text)):
            return None
        return CandlePage(
            np.array(times.replace("Z", "").split(), "datetime64[ns]").astype(np.int64),
            np.array(complete, np.bool_),
            np.fromstring(text.replace(".", ""), np.int64, sep=" ").reshape(-1, 8),
            np.array(volume, np.int64),
            digits,
            {},
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _prices_pattern(digits: int) -> re.Pattern[str]:
    """Matches prices with ``digits`` decimals, each followed by a space."""
    fraction = rf"\.\d{{{digits}}}" if digits else ""
    return re.compile(rf"(?:\d{{1,9}}{fraction} )*", re.ASCII)


def _row(entry: Any) -> CandlePage:
    """One entry on its own, in any format."""
    page = _regular_page([entry])
    if page is not None:
        return page
    time_ns: int | None = None
    complete = False
    try:
        time_ns = parse_rfc3339(entry["time"])
        complete = entry["complete"]
        if not isinstance(complete, bool):
            raise TypeError(f"complete is {complete!r}")
        if not complete:
            # Its values may still change; it will be fetched again.
            return CandlePage.of_incomplete(time_ns)
        prices = tuple(
            Decimal(_text(entry[side][point])) for side in ("bid", "ask") for point in "ohlc"
        )
        volume = entry["volume"]
        if type(volume) is not int or abs(volume) >= 2**63:
            raise TypeError(f"volume is {volume!r}")
        return CandlePage.of_complete(time_ns, prices, volume)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        fault = Fault("malformed", repr(error)[:200])
        return CandlePage.of_fault(time_ns, fault, complete=complete is True)


def _text(price: Any) -> str:
    # Stricter than Decimal, which accepts 1_0 and the digits of any script.
    if not isinstance(price, str) or _NUMBER.fullmatch(price) is None:
        raise TypeError(f"{price!r} is not a decimal string")
    return price
