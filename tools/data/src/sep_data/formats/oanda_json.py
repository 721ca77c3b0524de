"""``oanda-json``: answers of OANDA's candles endpoint, complete candles only."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_SECOND, parse_rfc3339

from sep_data.errors import FileRefusedError
from sep_data.formats.table import Table, price, unreadable, volume
from sep_data.rows import BadRow, LeftOut, Row, Side


def read(path: Path, text: str) -> Table:
    """The candles of a file, numbered from 1.

    Raises:
        FileRefusedError: it is no such answer, or its candles have neither bid and ask nor mid.
    """
    try:
        answer = json.loads(text)
    except json.JSONDecodeError as error:
        raise FileRefusedError(path, error.lineno, f"is not JSON: {error.msg}") from None
    candles = answer.get("candles") if isinstance(answer, dict) else None
    if not isinstance(candles, list):
        raise FileRefusedError(path, None, 'expected {"instrument", "granularity", "candles"}')
    if not candles:
        raise FileRefusedError(path, None, "holds no candle")
    first = candles[0] if isinstance(candles[0], dict) else {}
    names: list[tuple[str, ...]] = [("bid", "ask")] if {"bid", "ask"} <= set(first) else []
    names += [(side,) for side in ("mid", "bid", "ask") if side in first]
    if not names:
        raise FileRefusedError(path, None, "candle 1 has neither bid and ask nor mid")
    granularity = answer.get("granularity")
    if granularity is not None and granularity not in list(Granularity):
        raise FileRefusedError(
            path, None, f"granularity is {granularity!r}, allowed are {', '.join(Granularity)}"
        )
    return Table(
        rows=_rows(candles, names[0]),
        side=Side.BOTH if len(names[0]) == 2 else Side(names[0][0]),
        instrument=answer.get("instrument"),
        granularity=None if granularity is None else Granularity(granularity),
    )


def _rows(candles: list[Any], sides: tuple[str, ...]) -> Iterator[Row | BadRow]:
    for number, candle in enumerate(candles, 1):
        try:
            if not candle.get("complete", True):
                yield BadRow(number, LeftOut.INCOMPLETE, "the bar is not complete")
                continue
            stamp = _instant(candle["time"])
            prices = tuple(price(str(candle[side][point])) for side in sides for point in "ohlc")
            count = volume(str(candle.get("volume", 0)))
        except (ValueError, TypeError, AttributeError) as error:
            yield unreadable(number, error)
            continue
        except KeyError as error:
            yield unreadable(number, ValueError(f"{error} is missing"))
            continue
        yield Row(number, stamp, prices, count)


def _instant(text: str) -> int:
    # OANDA also sends UNIX times, "1398902400.000000000".
    whole, _, fraction = text.partition(".")
    if whole.isascii() and whole.isdigit():
        if fraction.strip("0"):
            raise ValueError(f"time {text} is not a whole second")
        return int(whole)
    instant = parse_rfc3339(text)
    if instant % NS_PER_SECOND:
        raise ValueError(f"time {text} is not a whole second")
    return instant // NS_PER_SECOND
