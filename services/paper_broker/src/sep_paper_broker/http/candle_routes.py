"""/candles, with and without an account in the path."""

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_SECOND
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sep_paper_broker.codec import TimeFormat
from sep_paper_broker.domain.alignment import Alignment, CandleGrid
from sep_paper_broker.domain.candles import (
    BadCandleQueryError,
    CandleQuery,
    Candles,
    is_complete,
    select_candles,
)
from sep_paper_broker.faults import spoil
from sep_paper_broker.http.answers import dump
from sep_paper_broker.http.errors import ApiError, invalid
from sep_paper_broker.http.gateway import Gateway
from sep_paper_broker.http.params import query_count, query_flag, query_instant, time_format

_COMPONENTS = {"M": "mid", "B": "bid", "A": "ask"}


class CandleRoutes:
    """Candles of any instrument."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """The routes, below ``/v3``."""
        return [
            Route("/instruments/{instrument}/candles", self.candles),
            Route("/accounts/{account}/instruments/{instrument}/candles", self.of_account),
        ]

    async def of_account(self, request: Request) -> Response:
        """Candles for an account; they are the same for all."""
        self._gateway.account(request)
        return await self.candles(request)

    async def candles(self, request: Request) -> Response:
        """Candles as ``select_candles`` chooses them; ``smooth`` is accepted and ignored."""
        broker = self._gateway.broker
        name = request.path_params["instrument"]
        if name not in broker.market.instruments:
            raise invalid("instrument")
        components = request.query_params.get("price", "M")
        if not components or not set(components) <= set(_COMPONENTS):
            raise invalid("price")
        query = _query(request)
        times = time_format(request)
        now = broker.clock()
        faults = self._gateway.faults.of_candles(name)

        def build() -> bytes:
            found = select_candles(broker.market, name, query, now)
            precision = broker.market.instruments[name].display_precision
            shaped = _shapes(found, query.grid, components, precision, times, now)
            return dump(
                {
                    "instrument": name,
                    "granularity": query.grid.granularity.value,
                    "candles": spoil(shaped, faults),
                }
            )

        try:
            # Years of history take a while; streams and orders must not wait for it.
            body = await run_in_threadpool(build)
        except BadCandleQueryError as error:
            raise ApiError(400, str(error)) from None
        return Response(body, media_type="application/json")


def _query(request: Request) -> CandleQuery:
    text = request.query_params.get("granularity", "S5")
    try:
        granularity = Granularity(text)
    except ValueError:
        raise invalid("granularity") from None
    hour = query_count(request, "dailyAlignment")
    if hour is not None and hour > 23:
        raise invalid("dailyAlignment")
    default = Alignment()
    zone = default.zone
    if (zone_name := request.query_params.get("alignmentTimezone")) is not None:
        try:
            zone = ZoneInfo(zone_name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise invalid("alignmentTimezone") from None
    query_flag(request, "smooth", default=False)
    return CandleQuery(
        CandleGrid(granularity, Alignment(default.hour if hour is None else hour, zone)),
        query_count(request, "count"),
        query_instant(request, "from"),
        query_instant(request, "to"),
        query_flag(request, "includeFirst", default=True),
    )


def _shapes(
    candles: Candles,
    grid: CandleGrid,
    components: str,
    precision: int,
    times: TimeFormat,
    now: int,
) -> list[dict[str, Any]]:
    columns = {
        _COMPONENTS[letter]: _prices(candles, letter, precision)
        for letter in "MBA"
        if letter in components
    }
    starts = candles.start.tolist()
    # Only the last two can be unfinished: the running one, and one that has yet to settle.
    complete = [True] * max(0, len(starts) - 2)
    complete += [is_complete(grid.end_of(start), now) for start in starts[-2:]]
    return [
        {
            "complete": done,
            "volume": volume,
            "time": times.write(start * NS_PER_SECOND),
            **{name: prices[i] for name, prices in columns.items()},
        }
        for i, (start, volume, done) in enumerate(
            zip(starts, candles.volume.tolist(), complete, strict=True)
        )
    ]


def _prices(candles: Candles, letter: str, precision: int) -> list[dict[str, str]]:
    points = {"M": candles.mid, "B": candles.bid, "A": candles.ask}[letter]
    if letter == "M":
        # Half points; a half rounds up to the display precision.
        points = (points + 1) // 2
    scale = 10**precision
    texts = [[f"{p // scale}.{p % scale:0{precision}d}" for p in row] for row in points.tolist()]
    return [{"o": o, "h": h, "l": low, "c": c} for o, h, low, c in zip(*texts, strict=True)]
