"""Requests to the broker: paced, timed, measured, and tried again where that is safe."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from pydantic import SecretStr
from pydantic_core import from_json
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
    NoAnswerError,
    NotSentError,
    RefusedError,
)
from sep_gateway.adapters.oanda.throttle import PacedTransport, Paces
from sep_gateway.domain.circuit import Circuit
from sep_gateway.metrics import GatewayMetrics

_log = get_logger("Oanda")

Json = dict[str, Any]

ATTEMPTS = 3
_POOL_SIZE = 10
_LONGEST_RETRY_AFTER_S = 5.0
_BACKOFF = wait_random_exponential(multiplier=0.1, max=1.0)
# A page of candles is a megabyte, which a slow line may take its time for.
_WHOLE_ANSWER_FACTOR = 4.0
_TOO_MANY_REQUESTS = 429
_LONGEST_LINE = 1 << 20


class OandaHttp:
    """Connections to one of the broker's hosts.

    Args:
        timeout_s: patience for each step of a request; a whole answer to a question may take four
            times that.
    """

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        timeout_s: float,
        paces: Paces,
        metrics: GatewayMetrics,
    ) -> None:
        self._timeout_s = timeout_s
        self._metrics = metrics
        self._requests = paces.requests
        self._circuit = Circuit()
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={
                "Authorization": f"Bearer {token.get_secret_value()}",
                "Accept-Datetime-Format": "RFC3339",
            },
            timeout=timeout_s,
            transport=PacedTransport(paces.connections, _POOL_SIZE),
            # A proxy from the environment would bypass the transport and its pace.
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
    ) -> Json:
        """The broker's answer; asked again on 429, 5xx and when there is none.

        Args:
            endpoint: name of the endpoint for metrics and messages; never holds an id.

        Raises:
            NotSentError, NoAnswerError, RefusedError: as the last attempt ended.
        """
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(attempts) | stop_after_delay(self._timeout_s),
            wait=_wait_before_retry,
            retry=retry_if_exception(_worth_a_retry),
            reraise=True,
        ):
            with attempt:
                return await self._ask(endpoint, path, params, timeout_s or self._timeout_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def send_once(
        self, method: str, endpoint: str, path: str, body: Json, *, force: bool
    ) -> Json:
        """POST or PUT once, never again. How it goes says nothing of the broker's questions.

        Args:
            force: send even while the circuit is open.

        Raises:
            NotSentError, RefusedError: it was certainly not carried out.
            NoAnswerError: it may have been.
        """
        if not force:
            self._check_circuit(endpoint)
        request = self._client.build_request(method, path, json=body)
        return await self._send(endpoint, request, self._timeout_s, self._timeout_s)

    async def stream_lines(
        self, endpoint: str, path: str, params: Mapping[str, str], silence_s: float
    ) -> AsyncGenerator[bytes, None]:
        """Lines of a stream that is not meant to end; several may come at once.

        Raises:
            NotSentError, NoAnswerError, RefusedError: it could not be opened, or it ended,
                or nothing was heard for ``silence_s``.
        """
        patience = httpx.Timeout(self._timeout_s, read=silence_s)
        await self._requests.wait()
        async with self._named(endpoint):
            async with self._client.stream(
                "GET", path, params=params, timeout=patience
            ) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    self._decode(endpoint, response)
                self._count(endpoint, "2xx")
                rest = b""
                # Not aiter_lines: that also splits where JSON does not.
                async for chunk in response.aiter_bytes():
                    *lines, rest = (rest + chunk).split(b"\n")
                    if len(rest) > _LONGEST_LINE:
                        raise NoAnswerError(f"{endpoint}: a line has no end")
                    for line in lines:
                        if line.strip():
                            yield line
            raise NoAnswerError(f"{endpoint}: the stream ended")

    async def _ask(
        self, endpoint: str, path: str, params: Mapping[str, str] | None, timeout_s: float
    ) -> Json:
        """Ask once, unless the circuit is open; how it went moves the circuit."""
        now = asyncio.get_running_loop().time
        self._check_circuit(endpoint)
        self._circuit = self._circuit.admitted(now())
        # A page of candles may take long to come in whole.
        whole_s = timeout_s * _WHOLE_ANSWER_FACTOR
        try:
            answer = await self._send(
                endpoint, self._client.build_request("GET", path, params=params), timeout_s, whole_s
            )
        except (NotSentError, NoAnswerError):
            self._set_circuit(self._circuit.failed(now()))
            raise
        except RefusedError:
            self._set_circuit(self._circuit.succeeded())
            raise
        self._set_circuit(self._circuit.succeeded())
        return answer

    async def _send(
        self, endpoint: str, request: httpx.Request, timeout_s: float, whole_s: float
    ) -> Json:
        """Send once; each step may take ``timeout_s``, all of it ``whole_s``."""
        request.extensions["timeout"] = httpx.Timeout(timeout_s).as_dict()
        await self._requests.wait()
        started = asyncio.get_running_loop().time()
        try:
            async with self._named(endpoint), asyncio.timeout(whole_s):
                response = await self._client.send(request)
            return self._decode(endpoint, response)
        finally:
            elapsed = asyncio.get_running_loop().time() - started
            self._metrics.latency.labels(endpoint).observe(elapsed)

    def _check_circuit(self, endpoint: str) -> None:
        if self._circuit.is_open(asyncio.get_running_loop().time()):
            raise CircuitOpenError(f"the broker has not answered lately; {endpoint} was not asked")

    @asynccontextmanager
    async def _named(self, endpoint: str) -> AsyncIterator[None]:
        """Turn what the client raises into ours; the text never holds a header."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._count(endpoint, "not_sent")
            kind = type(error).__name__
            raise NotSentError(f"{endpoint}: the broker can't be reached ({kind})") from error
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, OSError) as error:
            self._count(endpoint, "no_answer")
            kind = type(error).__name__
            raise NoAnswerError(f"{endpoint}: no answer from the broker ({kind})") from error

    def _decode(self, endpoint: str, response: httpx.Response) -> Json:
        status = response.status_code
        self._count(endpoint, f"{status // 100}xx")
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise NoAnswerError(
                f"{endpoint}: the broker answered {status}", _retry_after(response.headers)
            )
        try:
            # A page of candles is a megabyte: this reads it in half of json's time.
            answer = from_json(response.content, cache_strings="keys")
        except ValueError:
            answer = None
        if status == _TOO_MANY_REQUESTS:
            # Refused before anything was done, whatever the body looks like.
            body = answer if isinstance(answer, dict) else {}
            raise RefusedError(
                f"{endpoint}: too many requests", status, body, _retry_after(response.headers)
            )
        if not isinstance(answer, dict):
            raise NoAnswerError(f"{endpoint}: the broker's answer ({status}) is not JSON")
        if status >= httpx.codes.BAD_REQUEST:
            said = str(answer.get("errorMessage", ""))[:200]
            raise RefusedError(f"{endpoint}: the broker refused ({status}): {said}", status, answer)
        if status >= httpx.codes.MULTIPLE_CHOICES:
            raise NoAnswerError(f"{endpoint}: the broker's answer ({status}) leads elsewhere")
        return answer

    def _count(self, endpoint: str, status: str) -> None:
        self._metrics.requests.labels(endpoint, status).inc()

    def _set_circuit(self, circuit: Circuit) -> None:
        was, now = self._circuit.blocked_until > 0, circuit.blocked_until > 0
        self._circuit = circuit
        self._metrics.circuit_open.set(now)
        if was != now:
            _log.warning("circuit opens" if now else "circuit closes", failures=circuit.failures)


def _worth_a_retry(error: BaseException) -> bool:
    if isinstance(error, RefusedError):
        return error.status == _TOO_MANY_REQUESTS
    return isinstance(error, NoAnswerError | NotSentError) and not isinstance(
        error, CircuitOpenError
    )


def _wait_before_retry(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_after_s", None)
    backoff = _BACKOFF(state)
    return backoff if asked is None else min(max(asked, backoff), _LONGEST_RETRY_AFTER_S)


def _retry_after(headers: httpx.Headers) -> float | None:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None
