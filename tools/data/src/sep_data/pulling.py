"""Pulls candles through the gateway, by dates, and resumes where an earlier pull ended."""

import time
from collections.abc import Callable, Iterator, Sequence

import httpx
import numpy as np
from sep_client import ApiError, Client, NoAnswerError
from sep_client.models import Candle
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.instants import format_seconds

from sep_data.catalogue import Catalogue, merged
from sep_data.errors import DataError
from sep_data.manifest import Source

_PAGE = 5_000  # the most that one call answers
_LIMITED = ("RATE_LIMITED", "OVERLOADED")
_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
_TIMEOUT_S = 30.0

Progress = Callable[[str, int], None]


class NoAnswerFromStackError(DataError):
    """The stack does not answer. Exit code 69."""


def connect(url: str) -> Client:
    """A client of the stack at an address; reads need no key."""
    return Client(url, http=httpx.Client(trust_env=False, timeout=_TIMEOUT_S), retries=0)


def pull(
    catalogue: Catalogue,
    client: Client,
    instruments: Sequence[str],
    granularity: Granularity,
    since: int,
    until: int,
    progress: Progress = lambda _name, _bars: None,
) -> dict[str, int]:
    """Pull complete candles with ``since <= start < until``, seconds; each page is stored at once.

    A pull begins after the last bar that the catalogue has in the range, so that an interrupted
    one is continued by the same command. Returns the bars stored by instrument.

    Raises:
        NoAnswerFromStackError: the stack does not answer; what came before is stored.
        DataError: the stack refused.
    """
    return {
        name: sum(_pull_one(catalogue, client, name, granularity, since, until, progress))
        for name in instruments
    }


def _pull_one(
    catalogue: Catalogue,
    client: Client,
    instrument: str,
    granularity: Granularity,
    since: int,
    until: int,
    progress: Progress,
) -> Iterator[int]:
    held = catalogue.load(instrument, granularity)
    inside = held.between(since, until)
    start = int(inside.time[-1]) + granularity.seconds if len(inside) else since
    taken = 0
    # The API answers the latest candles of a range: a page spans no more bars than it may hold.
    while start < until:
        end = min(until, start + _PAGE * granularity.seconds)
        bars = _bars(_page(client, instrument, granularity, start, end))
        if len(bars):
            held, _ = merged(held, bars)
            catalogue.write(instrument, granularity, held)
            taken += len(bars)
            catalogue.manifest.add(_source(instrument, granularity, taken))
            catalogue.save()
            yield len(bars)
        progress(instrument, len(bars))
        start = end


def _page(
    client: Client, instrument: str, granularity: Granularity, start: int, end: int
) -> Sequence[Candle]:
    for pause_s in (*_PAUSES_S, None):
        try:
            answer = client.candles(
                instrument,
                granularity=granularity.value,
                limit=_PAGE,
                since=format_seconds(start),
                until=format_seconds(end),
            )
        except NoAnswerError as error:
            raise NoAnswerFromStackError(f"the stack does not answer: {error}") from None
        except ApiError as error:
            if error.reason in _LIMITED and pause_s is not None:
                time.sleep(pause_s)
                continue
            raise DataError(f"{instrument}: {error.message} ({error.reason})") from None
        return answer.candles
    raise DataError(f"{instrument}: the stack refused each of {len(_PAUSES_S) + 1} calls")


def _bars(candles: Sequence[Candle]) -> Bars:
    rows, times, volumes = [], [], []
    for candle in candles:
        bid, ask = candle.bid, candle.ask
        if bid is None or ask is None:
            continue
        rows.append([float(getattr(side, point)) for side in (bid, ask) for point in "ohlc"])
        times.append(int(candle.ts_ms) // 1000)
        volumes.append(candle.volume)
    return Bars.from_rows(
        np.array(times, np.int64),
        np.array(rows, np.float64).reshape(-1, 8).T,
        np.array(volumes, np.int64),
    )


def _source(instrument: str, granularity: Granularity, bars: int) -> Source:
    return Source(
        instrument=instrument,
        granularity=granularity.value,
        format="gateway",
        files={},
        time_zone="UTC",
        label="start",
        prices="bid-ask",
        spread_pips=None,
        rows=bars,
        bars=bars,
    )
