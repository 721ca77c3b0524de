"""Calls that must succeed, to a stack that may be late: the machine may stall for seconds."""

import time
from collections.abc import Callable
from typing import Any

import httpx


class Served:
    """Reads and writes of a running stack, repeated until they succeed."""

    def get(self, path: str, **params: str) -> httpx.Response:
        """GET through Envoy."""
        raise NotImplementedError

    def post(self, path: str, body: object) -> httpx.Response:
        """POST through Envoy with a write key."""
        raise NotImplementedError

    def tail(self) -> str:
        """The end of its output."""
        raise NotImplementedError

    def read(self, path: str, within_s: float = 60) -> Any:
        """The body of a GET that succeeds."""
        return self._served(path, lambda: self.get(path), within_s)

    def done(self, path: str, body: object, within_s: float = 60) -> Any:
        """The body of a POST that succeeds; for what may be done twice."""
        return self._served(path, lambda: self.post(path, body), within_s)

    def release(self) -> None:
        """Wait until every part serves and the kill switch is released, whatever engaged it."""
        self.read("/health")
        body = {"kill_switch": False, "reason": "the next test", "acknowledge_breaker": True}
        deadline = time.monotonic() + 60
        while self.read("/api/kill-switch")["kill_switch"]:
            assert time.monotonic() < deadline, f"it is engaged again\n{self.tail()}"
            self.done("/api/kill-switch", body)

    def _served(self, path: str, send: Callable[[], httpx.Response], within_s: float) -> Any:
        deadline = time.monotonic() + within_s
        while True:
            try:
                response = send()
                if response.status_code == httpx.codes.OK:
                    return response.json()
                found = response.text
            except httpx.TransportError as error:
                found = repr(error)
            assert time.monotonic() < deadline, f"{path}: {found}\n{self.tail()}"
            time.sleep(0.2)
