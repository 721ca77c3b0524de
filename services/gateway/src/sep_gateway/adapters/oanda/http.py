"""HTTP requests to the broker: throttled, timed, measured, and retried where that is safe."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx
from pydantic import SecretStr
from sep_kit.logging import get_logger
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
)
from tenacity.wait import wait_random_exponential

from sep_gateway.adapters.oanda.failures import (
    CircuitOpenError,
    NoResponseError,
    NotSentError,
    RefusedError,
)
from sep_gateway.adapters.oanda.responses import TOO_MANY_REQUESTS, Json, decode
from sep_gateway.adapters.oanda.throttle import URGENT, ThrottledTransport, Throttles
from sep_gateway.domain.circuit import Circuit
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import BeforeSending

_log = get_logger("Oanda")

ATTEMPTS = 3
_POOL_SIZE = 10
_LONGEST_RETRY_AFTER_S = 5.0
_BACKOFF = wait_random_exponential(multiplier=0.1, max=1.0)
# A page of candles is a megabyte, which takes longer on a slow connection.
_TOTAL_TIMEOUT_FACTOR = 4.0
_LONGEST_LINE = 1 << 20


class OandaHttp:
    """Connections to one of the broker's hosts.

    Args:
        timeout_s: timeout of each step of a request (connect, write, read); a whole GET may
            take four times as long.
        on_date: called with the ``Date`` header of each response.
    """

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        timeout_s: float,
        throttles: Throttles,
        metrics: GatewayMetrics,
        on_date: Callable[[str], None] | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._token = token
        self._metrics = metrics
        self._on_date = on_date
        self._requests = throttles.requests
        self._circuit = Circuit()
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={
                "Authorization": f"Bearer {token.get_secret_value()}",
                "Accept-Datetime-Format": "RFC3339",
            },
            timeout=timeout_s,
            transport=ThrottledTransport(throttles.connections, _POOL_SIZE),
            # A proxy from the environment would bypass the throttled transport.
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(
        self,
        endpoint: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        attempts: int = ATTEMPTS,
        timeout_s: float | None = None,
        urgent: bool = False,
    ) -> Json:
        """The response to a GET; retried on 429, 5xx and no response.

        Args:
            endpoint: name of the endpoint in metrics and messages; must not contain an id.
            urgent: goes before other reads, as orders do.

        Raises:
            NotSentError, NoResponseError, RefusedError: from the last attempt.
        """
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(attempts) | stop_after_delay(self._timeout_s),
            wait=_wait_before_retry,
            retry=retry_if_exception(_is_retryable),
            reraise=True,
        ):
            with attempt:
                return await self._get_once(
                    endpoint, path, params, timeout_s or self._timeout_s, urgent=urgent
                )
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def send_once(
        self,
        method: str,
        endpoint: str,
        path: str,
        body: Json,
        *,
        force: bool,
        before_sending: BeforeSending | None = None,
    ) -> Json:
        """POST or PUT once, without a retry, before all reads. The circuit is not moved.

        Args:
            force: send even while the circuit is open.
            before_sending: called after the rate limit's wait.

        Raises:
            NotSentError, RefusedError: it was not executed.
            NoResponseError: it may have been executed.
        """
        if not force:
            self._check_circuit(endpoint)
        request = self._client.build_request(method, path, json=body)
        return await self._send(
            endpoint,
            request,
            self._timeout_s,
            self._timeout_s,
            urgent=True,
            before_sending=before_sending,
        )

    async def stream_lines(
        self, endpoint: str, path: str, params: Mapping[str, str], silence_s: float
    ) -> AsyncGenerator[bytes, None]:
        """Lines of a stream; a chunk may contain several.

        Raises:
            NotSentError, NoResponseError, RefusedError: it could not be opened, it ended,
                or there was no data for ``silence_s``.
        """
        timeout = httpx.Timeout(self._timeout_s, read=silence_s)
        await self._requests.wait()
        async with self._mapped_errors(endpoint):
            async with self._client.stream("GET", path, params=params, timeout=timeout) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    self._decode(endpoint, response)
                self._count(endpoint, "2xx")
                rest = b""
                # Not aiter_lines: it also splits at characters that may occur inside a JSON string.
                async for chunk in response.aiter_bytes():
                    *lines, rest = (rest + chunk).split(b"\n")
                    if len(rest) > _LONGEST_LINE:
                        raise NoResponseError(f"{endpoint}: a line is too long")
                    for line in lines:
                        if line.strip():
                            yield line
            raise NoResponseError(f"{endpoint}: the stream ended")

    async def _get_once(
        self,
        endpoint: str,
        path: str,
        params: Mapping[str, str] | None,
        timeout_s: float,
        *,
        urgent: bool,
    ) -> Json:
        """Send a GET once, unless the circuit is open; its result moves the circuit."""
        now = asyncio.get_running_loop().time
        self._check_circuit(endpoint)
        self._circuit = self._circuit.admitted(now())
        total_s = timeout_s * _TOTAL_TIMEOUT_FACTOR
        try:
            request = self._client.build_request("GET", path, params=params)
            response = await self._send(endpoint, request, timeout_s, total_s, urgent=urgent)
        except (NotSentError, NoResponseError):
            self._set_circuit(self._circuit.failed(now()))
            raise
        except RefusedError:
            self._set_circuit(self._circuit.succeeded())
            raise
        self._set_circuit(self._circuit.succeeded())
        return response

    async def _send(
        self,
        endpoint: str,
        request: httpx.Request,
        timeout_s: float,
        total_s: float,
        *,
        urgent: bool,
        before_sending: BeforeSending | None = None,
    ) -> Json:
        """Send once; each step may take ``timeout_s``, the whole request ``total_s``."""
        request.extensions["timeout"] = httpx.Timeout(timeout_s).as_dict()
        request.extensions[URGENT] = urgent
        await self._requests.wait(urgent=urgent)
        if before_sending is not None:
            before_sending()
        started = asyncio.get_running_loop().time()
        try:
            async with self._mapped_errors(endpoint), asyncio.timeout(total_s):
                response = await self._client.send(request)
            return self._decode(endpoint, response)
        finally:
            elapsed = asyncio.get_running_loop().time() - started
            self._metrics.latency.labels(endpoint).observe(elapsed)

    def _check_circuit(self, endpoint: str) -> None:
        if self._circuit.is_open(asyncio.get_running_loop().time()):
            raise CircuitOpenError(
                f"{endpoint}: not sent, since the broker failed repeatedly (circuit open)"
            )

    @asynccontextmanager
    async def _mapped_errors(self, endpoint: str) -> AsyncIterator[None]:
        """Map errors of httpx to the gateway's; the message never contains a header."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._count(endpoint, "not_sent")
            kind = type(error).__name__
            raise NotSentError(f"{endpoint}: the broker can't be reached ({kind})") from error
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, OSError) as error:
            self._count(endpoint, "no_answer")
            kind = type(error).__name__
            raise NoResponseError(f"{endpoint}: no response from the broker ({kind})") from error

    def _decode(self, endpoint: str, response: httpx.Response) -> Json:
        status = response.status_code
        self._count(endpoint, f"{status // 100}xx")
        if self._on_date is not None and "date" in response.headers:
            self._on_date(response.headers["date"])
        return decode(endpoint, response, self._token.get_secret_value())

    def _count(self, endpoint: str, status: str) -> None:
        self._metrics.requests.labels(endpoint, status).inc()

    def _set_circuit(self, circuit: Circuit) -> None:
        before, now = self._circuit.blocked_until > 0, circuit.blocked_until > 0
        self._circuit = circuit
        self._metrics.circuit_open.set(now)
        if before != now:
            _log.warning("circuit open" if now else "circuit closed", failures=circuit.failures)


def _is_retryable(error: BaseException) -> bool:
    if isinstance(error, RefusedError):
        return error.status == TOO_MANY_REQUESTS
    return isinstance(error, NoResponseError | NotSentError) and not isinstance(
        error, CircuitOpenError
    )


def _wait_before_retry(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    requested: float | None = getattr(error, "retry_after_s", None)
    backoff = _BACKOFF(state)
    if requested is None:
        return backoff
    return min(max(requested, backoff), _LONGEST_RETRY_AFTER_S)
