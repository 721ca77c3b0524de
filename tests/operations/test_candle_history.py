"""A warm-up of a running stack finds candles that are missing in the middle of a history."""

import pytest
import redis
from sep_fx.sessions import fx_week_open
from sep_testing.eventually import eventually

from tests.operations.operator_shell import OperatorShell

WARM_UP = (".venv/bin/python", "scripts/ops/warmup_orchestrator.py", "--steps", "backfill")


def fetch_count(shell: OperatorShell) -> float:
    metrics = shell.stack.get("/metrics").text.splitlines()
    lines = [x for x in metrics if x.startswith("sep_grpc_requests_total{")]
    return sum(float(x.rpartition(" ")[2]) for x in lines if "FetchCandles" in x)


def fetches_of_a_warm_up(shell: OperatorShell) -> float:
    """Warm up a few more candles than are listed at once; how many fetches that took."""
    before = fetch_count(shell)
    history = ("--granularity", "M1", "--count", "5100")
    code, output = shell.run(*WARM_UP, "--pairs", "EUR_GBP", *history)
    assert code == 0, output
    return fetch_count(shell) - before


@pytest.mark.timeout(600)
async def test_a_gap_in_a_long_history_is_found_and_filled(shell: OperatorShell) -> None:
    """Reads of candles may be a second old, so a warm-up may find the previous state."""
    assert fetches_of_a_warm_up(shell) >= 1
    await eventually(lambda: fetches_of_a_warm_up(shell) == 0, within_s=60)
    key = "md:candles:EUR_GBP:M1"
    url = (shell.stack.run_dir / "valkey.url").read_text().strip()
    with redis.Redis.from_url(url, decode_responses=True) as store:
        chunks = sorted((f for f in store.hkeys(key) if f.isdigit()), key=int)
        # A chunk is a day of M1 bars. Take one of a weekday: weekends need no candles.
        traded = next(c for c in chunks[1:-1] if fx_week_open(int(c) + 12 * 3600))
        assert store.hdel(key, traded) == 1
    await eventually(lambda: fetches_of_a_warm_up(shell) >= 1, within_s=60)
    await eventually(lambda: fetches_of_a_warm_up(shell) == 0, within_s=60)
