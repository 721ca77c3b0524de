"""The API through Envoy beside FastAPI with uvicorn, uvloop and httptools, on the same store.

Reads that may be a second old are served from Envoy's cache; fresh reads reach a service.
"""

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import redis
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sep.guard.v1 import guard_pb2, guard_pb2_grpc
from sep_kit.death_signal import dying_with_us
from sep_kit.store import keys
from sep_local.env_file import read_env_file

from bench.load import Load, load
from bench.runner import Figure, Options

TITLE = "API: Envoy and gRPC services beside FastAPI"

_ROOT = Path(__file__).parents[1]
_CONNECTIONS = 32
_CALLS = 1000
_VALKEY, _PAPER, _GATEWAY, _GUARD = 1, 2, 3, 6  # ports, counted from the stack's first
_DEMO = "deploy/demo.env"
_CACHED = "/api/risk/allocation-status"
_FRESH = "/api/kill-switch"
_READINESS = "/api/trade/readiness"
_ACCOUNT = "/api/oanda/account"


def measure(options: Options) -> list[Figure]:
    """All figures of this suite."""
    seconds, rounds = (2.0, 2) if options.quick else (5.0, 3)
    with TemporaryDirectory() as folder, _stack(Path(folder)) as port:
        ours = f"http://127.0.0.1:{port}"
        with _fastapi(port) as theirs:
            figures = []
            for path, what, connections, goal in (
                (_CACHED, "read that may be a second old", _CONNECTIONS, 4.0),
                (_READINESS, "readiness, fresh", _CONNECTIONS, 0.6),
                (_ACCOUNT, "account, fresh from the broker", _CONNECTIONS, 0.6),
                (_FRESH, "kill switch, fresh", _CONNECTIONS, 0.6),
                (_CACHED, "single call, a second old", 1, 0.6),
                (_READINESS, "single call, readiness", 1, 0.6),
                (_FRESH, "single call, kill switch", 1, 0.6),
            ):
                pairs = [
                    (
                        load(ours + path, seconds, connections),
                        load(theirs + path, seconds, connections),
                    )
                    for _ in range(rounds)
                ]
                figures += _compare(what, connections, goal, pairs)
        figures += _breakdown(port, figures[-2].value or 0)
        with _under_load(ours + _CACHED, 2 * seconds):
            time.sleep(0.5)
            rate = _store_reads_per_second(port + _VALKEY, 2 * seconds)
    what = "store reads of one key under that load"
    note = "includes those of the loops"
    figures.append(Figure(what, rate, "/s", 1.5, "goal", True, note))
    return figures


def _compare(
    what: str, connections: int, goal: float, pairs: list[tuple[Load, Load]]
) -> list[Figure]:
    """Medians of rounds that alternate, so that other load on the machine affects both."""

    def median(which: int, name: str) -> float:
        return float(statistics.median(getattr(pair[which], name) for pair in pairs))

    failed = sum(one.failed for pair in pairs for one in pair)
    rate, other = median(0, "per_second"), median(1, "per_second")
    against = "FastAPI"
    note = f"{failed} failed" if failed else f"{connections} connections"
    figures = [
        Figure(f"{what}, requests", rate, "/s", other, against, note=note),
        Figure("the same, times FastAPI's", rate / other, "x", goal),
    ]
    lower = "goal" if goal >= 1 else against
    figures += [
        Figure(f"the same, {name[:3]}", median(0, name), "ms", median(1, name), lower, True)
        for name in ("p50_ms", "p99_ms")
    ]
    return figures


def _breakdown(port: int, total_ms: float) -> list[Figure]:
    """Time of a fresh single call by where it is spent: store, service, edge. Milliseconds."""
    store = redis.Redis(port=port + _VALKEY)
    stored = _p50_ms(lambda: store.get(keys.KILL_SWITCH))
    with grpc.insecure_channel(f"127.0.0.1:{port + _GUARD}") as channel:
        stub: Any = guard_pb2_grpc.GuardServiceStub(channel)
        served = _p50_ms(lambda: stub.GetKillSwitch(guard_pb2.GetKillSwitchRequest()))
        health: Any = health_pb2_grpc.HealthStub(channel)
        empty_rpc = _p50_ms(lambda: health.Check(health_pb2.HealthCheckRequest()))
    return [
        Figure("of a fresh single call: one store read", stored, "ms"),
        Figure(
            "gRPC in Python, an RPC that does nothing", empty_rpc, "ms", note="grpc.aio's floor"
        ),
        Figure("the service over gRPC", served, "ms", note="includes both of these, keys, checks"),
        Figure("the edge: transcoding, two hops", total_ms - served, "ms", note="the remainder"),
    ]


def _p50_ms(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_CALLS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) * 1000


@contextlib.contextmanager
def _stack(folder: Path) -> Iterator[int]:
    port = _port_base()
    env = {
        **os.environ,
        "SEP_RUN_DIR": str(folder / "run"),
        "EDGE_LOGGED_READS": "0",
        "EDGE_READ_LIMIT": "1000000",
        "LOG_LEVEL": "WARNING",
        # The cadence of a live market, not of the demo.
        "EVAL_INTERVAL_SEC": "60",
        "ALLOC_INTERVAL_SEC": "60",
        "PM_RECONCILE_SEC": "30",
    }
    command = [sys.executable, "-m", "sep_local", "up", "--env-file", _DEMO]
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            dying_with_us(*command, "--port-base", str(port)),
            cwd=_ROOT,
            env=env,
            stdout=out,
            stderr=out,
        )
    try:
        _wait_until(lambda: "SEP is ready" in log.read_text(errors="replace"))
        _wait_until(lambda: b'"blob_age_seconds"' in _get(f"http://127.0.0.1:{port}{_CACHED}"))
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


@contextlib.contextmanager
def _fastapi(stack: int) -> Iterator[str]:
    addresses = {
        "VALKEY_URL": f"redis://127.0.0.1:{stack + _VALKEY}/0",
        "OANDA_API_URL": f"http://127.0.0.1:{stack + _PAPER}",
        "GATEWAY_ADDR": f"127.0.0.1:{stack + _GATEWAY}",
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error")
    process = subprocess.Popen(
        dying_with_us(
            *(sys.executable, "-m", "uvicorn", "bench.fastapi_app:app"),
            *("--port", str(port), *options),
        ),
        cwd=_ROOT,
        env={**os.environ, **read_env_file(_ROOT / _DEMO), **addresses},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until(lambda: b'"weights"' in _get(url + _CACHED))
        yield url
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _under_load(url: str, seconds: float) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.load", url, str(seconds + 1), str(_CONNECTIONS)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL):
        yield


def _store_reads_per_second(valkey_port: int, seconds: float) -> float:
    """Reads of the weights from the store, per second, as MONITOR shows them."""
    seen, ends = 0, time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", valkey_port), timeout=0.2) as connection:
        connection.sendall(b"MONITOR\r\n")
        while time.monotonic() < ends:
            with contextlib.suppress(TimeoutError):
                seen += connection.recv(1 << 20).count(b'"GET" "risk:allocation_weights"')
    return seen / seconds


def _wait_until(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while True:
        with contextlib.suppress(OSError, json.JSONDecodeError):
            if check():
                return
        if time.monotonic() > deadline:
            raise TimeoutError("the stack or FastAPI did not start")
        time.sleep(0.2)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as response:
        return bytes(response.read())


def _port_base() -> int:
    for base in range(26_000, 30_000, 16):
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
            for port in range(base, base + 8):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return base
    raise OSError("no eight free ports in a row")
