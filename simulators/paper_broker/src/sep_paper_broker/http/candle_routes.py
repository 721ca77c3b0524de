"""Routes of candles, with and without an account in the path."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sep_fx.granularity import Granularity
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sep_paper_broker.faults.corruption import corrupt_candles
from sep_paper_broker.http.candle_json import COMPONENTS, CandleWriter, candle_response_body
from sep_paper_broker.http.context import RouteContext
from sep_paper_broker.http.errors import ApiError, invalid
from sep_paper_broker.http.params import query_count, query_flag, query_instant, time_format
from sep_paper_broker.market.alignment import Alignment, CandleGrid
from sep_paper_broker.market.candles import (
    BadCandleQueryError,
    CandleQuery,
    select_candles,
)


class CandleRoutes:
    """Routes of candles."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes, below ``/v3``."""
        return [
            Route("/instruments/{instrument}/candles", self.candles),
            Route("/accounts/{account}/instruments/{instrument}/candles", self.of_account),
        ]

    async def of_account(self, request: Request) -> Response:
        """Candles for an account; equal for all accounts."""
        self._context.account(request)
        return await self.candles(request)

    async def candles(self, request: Request) -> Response:
        """Candles of an instrument, see ``select_candles``; ``smooth`` is accepted and ignored."""
        broker = self._context.broker
        name = request.path_params["instrument"]
        if name not in broker.market.instruments:
            raise invalid("instrument")
        components = request.query_params.get("price", "M")
        if not components or not set(components) <= set(COMPONENTS):
            raise invalid("price")
        query = _query(request)
        times = time_format(request)
        now = broker.clock()
        faults = self._context.faults.take_candle_faults(name)

        def build() -> bytes:
            found = select_candles(broker.market, name, query, now)
            precision = broker.market.instruments[name].display_precision
            form = CandleWriter(components, precision, times)
            texts = form.write(found, query.grid, now)
            body = candle_response_body(name, query.grid.granularity, texts)
            return corrupt_candles(body, faults) if faults else body

        try:
            # In a thread: years of history take long and would block streams and orders.
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
        grid=CandleGrid(granularity, Alignment(default.hour if hour is None else hour, zone)),
        count=query_count(request, "count"),
        from_ns=query_instant(request, "from"),
        to_ns=query_instant(request, "to"),
        include_first=query_flag(request, "includeFirst", default=True),
    )
