"""Pings an outside watcher over HTTP."""

import httpx

from sep_journal.outbox_ports import HeartbeatFailedError

_TIMEOUT_S = 10.0


class HttpHeartbeat:
    """Implements ``Heartbeat``: a GET; any answer below 400 is taken."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)

    async def ping(self) -> None:
        """Ping it once."""
        try:
            response = await self._http.get(self._url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Its own text may hold the URL, which is a secret.
            raise HeartbeatFailedError(f"no answer: {type(error).__name__}") from None
        if response.is_error:
            raise HeartbeatFailedError(f"answered {response.status_code}")

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()
