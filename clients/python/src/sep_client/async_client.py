"""The asynchronous client."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Self, TypeVar

import httpx

from sep_client import calls, models
from sep_client.errors import ApiError, NoAnswerError, NotServingError
from sep_client.exchange import (
    STREAM_SILENCE_S,
    answer_of,
    failure_of,
    headers_of,
    health_in,
    manifold_in,
    may_retry,
    pause,
    request_of,
)

T = TypeVar("T")


class AsyncClient:
    """Calls a SEP stack.

    Every method raises ``ApiError`` (or what it is split into) for an error of the stack and
    ``NoAnswerError`` when nobody answers. Reads are tried again, writes never.

    Args:
        url: where the stack is.
        key: a key of the stack; reading may need none.
        timeout: seconds to wait for an answer.
        retries: how often a read is tried again.
        http: options of the underlying ``httpx`` client, such as ``verify``.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 15.0,
        retries: int = 2,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx.AsyncClient()
        self._http.base_url = httpx.URL(url)
        self._http.timeout = httpx.Timeout(timeout)
        self._http.headers.update(headers_of(key))
        self._retries = retries

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def health(self) -> models.GetHealthResponse:
        """Each part's state, whether all of them serve or not."""
        try:
            return await self._send(calls.health(), retries=0)
        except NotServingError as error:
            return health_in(error)

    async def status(self) -> models.GetStatusResponse:
        """The stack at a glance."""
        return await self._send(calls.status())

    async def pairs(self) -> models.ListPairsResponse:
        """Instruments with their sessions."""
        return await self._send(calls.pairs())

    async def ranking(self) -> models.ListRankingResponse:
        """Every instrument with its score, best first."""
        return await self._send(calls.ranking())

    async def allocation_status(self) -> models.GetAllocationStatusResponse:
        """The weights and what they rest on."""
        return await self._send(calls.allocation_status())

    async def budget(self) -> models.GetBudgetResponse:
        """The risk budget from the account as it is now."""
        return await self._send(calls.budget())

    async def readiness(self) -> models.GetReadinessResponse:
        """Whether an entry would pass now, and every reason why not."""
        return await self._send(calls.readiness())

    async def kill_switch(self) -> models.GetKillSwitchResponse:
        """Whether the kill switch is engaged, and who said so."""
        return await self._send(calls.kill_switch())

    async def manifold_coeffs(self, instrument: str) -> models.GetManifoldCoeffsResponse:
        """Coefficients and metrics of the last window."""
        return await self._send(calls.manifold_coeffs(instrument))

    async def coherence(self, instrument: str | None = None) -> models.GetCoherenceStatusResponse:
        """Metrics against thresholds, of one instrument or all."""
        return await self._send(calls.coherence(instrument))

    async def candles(
        self,
        instrument: str,
        *,
        granularity: str | None = None,
        limit: int | None = None,
        since: str | int | None = None,
        until: str | int | None = None,
    ) -> models.ListCandlesResponse:
        """Stored candles, oldest first."""
        return await self._send(calls.candles(instrument, granularity, limit, since, until))

    async def account(self) -> models.GetAccountResponse:
        """The account summary."""
        return await self._send(calls.account())

    async def positions(self) -> models.ListPositionsResponse:
        """Open positions."""
        return await self._send(calls.positions())

    async def open_trades(self) -> models.ListOpenTradesResponse:
        """Open trades."""
        return await self._send(calls.open_trades())

    async def instruments(self) -> models.ListInstrumentsResponse:
        """Tradeable instruments."""
        return await self._send(calls.instruments())

    async def pricing(self, instruments: Sequence[str] = ()) -> models.GetPricingResponse:
        """Current prices."""
        return await self._send(calls.pricing(instruments))

    async def metrics(self) -> str:
        """Prometheus metrics of the whole stack."""
        return await self._send(calls.metrics())

    async def reconcile(self, *, dry_run: bool) -> models.ReconcileResponse:
        """Run one cycle now. Needs a write key, a dry run too."""
        return await self._send(calls.reconcile(dry_run=dry_run))

    async def set_kill_switch(self, *, engaged: bool, reason: str) -> models.SetKillSwitchResponse:
        """Engage or release the kill switch. Needs a write key."""
        return await self._send(calls.set_kill_switch(engaged=engaged, reason=reason))

    async def fetch_candles(
        self,
        instruments: Sequence[str] = (),
        *,
        granularity: str | None = None,
        count: int | None = None,
    ) -> models.FetchCandlesResponse:
        """Fetch candles from the broker now. Needs a write key."""
        return await self._send(calls.fetch_candles(instruments, granularity, count))

    async def plan_drain(
        self, *, buffer_pct: float | None = None, min_units: Decimal | None = None
    ) -> models.PlanDrainResponse:
        """What a drain would close. Needs a write key."""
        return await self._send(calls.plan_drain(buffer_pct, min_units))

    async def execute_drain(self, drain_id: str) -> models.ExecuteDrainResponse:
        """Close what a plan says. Needs a write key."""
        return await self._send(calls.execute_drain(drain_id))

    async def manifolds(
        self, instrument: str | None = None, *, reconnect: bool = True
    ) -> AsyncIterator[models.Manifold]:
        """Live manifolds, for as long as one asks.

        A stream that breaks is opened again: it begins with the last known manifold of each
        instrument, so nothing has to be caught up with.
        """
        attempt = 0
        while True:
            try:
                async for manifold in self._stream(calls.manifolds(instrument)):
                    attempt = 0
                    yield manifold
            except (ApiError, NoAnswerError) as error:
                fatal = isinstance(error, ApiError) and error.status < 500 and error.status != 200
                if fatal or not reconnect:
                    raise
            if not reconnect:
                return
            await asyncio.sleep(pause(attempt))
            attempt += 1

    async def _stream(
        self, call: calls.Call[models.StreamManifoldsResponse]
    ) -> AsyncIterator[models.Manifold]:
        request = request_of(self._http, call)
        request.extensions["timeout"] = httpx.Timeout(STREAM_SILENCE_S).as_dict()
        try:
            response = await self._http.send(request, stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise failure_of(response)
                async for line in response.aiter_lines():
                    if (manifold := manifold_in(line)) is not None:
                        yield manifold
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise NoAnswerError(f"the stream broke: {error!r}") from error

    async def _send(self, call: calls.Call[T], retries: int | None = None) -> T:
        left = self._retries if retries is None else retries
        attempt = 0
        while True:
            last = attempt >= left
            try:
                response = await self._http.send(request_of(self._http, call))
            except httpx.TransportError as error:
                if last or not may_retry(call, None):
                    raise NoAnswerError(f"{call.path}: {error!r}") from error
            else:
                if last or not may_retry(call, response.status_code):
                    return answer_of(call, response)
            await asyncio.sleep(pause(attempt))
            attempt += 1
