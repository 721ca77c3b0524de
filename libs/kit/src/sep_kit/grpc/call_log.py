"""Metrics and access log of calls."""

import logging

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram
from sep_contract import Method

from sep_kit.logging import get_logger

_log = get_logger("Grpc")


class CallMetrics:
    """Counts calls by method and code, and measures their latency."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "sep_grpc_requests_total",
            "Requests by method and code",
            ["method", "code"],
            registry=registry,
        )
        self._latency = Histogram(
            "sep_grpc_latency_seconds", "Time to answer", ["method"], registry=registry
        )
        # Label lookup is slower than a dict's.
        self._counters: dict[tuple[str, grpc.StatusCode], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def record(self, path: str, code: grpc.StatusCode, seconds: float) -> None:
        """Record a finished call."""
        counter = self._counters.get((path, code))
        if counter is None:
            counter = self._counters[path, code] = self._requests.labels(path, code.name)
        counter.inc()
        timer = self._timers.get(path)
        if timer is None:
            timer = self._timers[path] = self._latency.labels(path)
        timer.observe(seconds)


class AccessLog:
    """Logs calls that change something at INFO, all others at DEBUG."""

    def __init__(self) -> None:
        # Asked once: a disabled log call costs more than this check.
        self._debug = bool(_log.bind().is_enabled_for(logging.DEBUG))

    def record(self, method: Method, code: grpc.StatusCode, caller: str, seconds: float) -> None:
        """Log a finished call."""
        if method.audited or self._debug:
            log = _log.info if method.audited else _log.debug
            log("called", method=method.path, code=code.name, by=caller, seconds=round(seconds, 4))
