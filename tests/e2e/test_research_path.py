"""From an empty folder to parameters in force and back, with the commands of docs/research.md."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sep_data.exporting import HEADER
from sep_fx.instants import format_seconds

from tests.e2e.conftest import Stack

pytestmark = pytest.mark.timeout(900)

BIN = Path(sys.executable).parent
MONDAY = 1_709_510_400  # 2024-03-04
GRID = "c_min: [0.4, 0.5]\ndir_threshold_bps: [1.0, 2.0, 3.0]\n"


def write_candles(path: Path, *, days: int, seed: int, drift: float) -> None:
    """Minutes of a random walk; with a drift it has trends of four hours to follow."""
    random, count = np.random.default_rng(seed), 1440 * days
    sides = np.repeat(random.choice([-1.0, 1.0], count // 240 + 1), 240)[:count]
    close = 1.1 * np.exp(np.cumsum(random.normal(0, 3e-5, count) + drift * sides))
    opened = np.concatenate([[1.1], close[:-1]])
    high, low = np.maximum(opened, close) + 1e-5, np.minimum(opened, close) - 1e-5
    bid = np.array([opened, high, low, close])
    rows = np.vstack([bid - 5e-6, bid + 5e-6]).T
    lines = [HEADER]
    for at, row in enumerate(rows.tolist()):
        prices = ",".join(f"{price:.6f}" for price in row)
        lines.append(f"{format_seconds(MONDAY + 60 * at)},{prices},1")
    path.write_text("\n".join(lines) + "\n")


class Desk:
    """A quant's empty folder, and the commands of the documents in it."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        self.folder = folder
        self._env = {
            **os.environ,
            "SEP_URL": stack.url,
            "SEP_KEY_FILE": str(stack.run_dir / "keys" / "write"),
            "COLUMNS": "250",
        }

    def run(self, command: str, *arguments: str, code: int = 0) -> str:
        """The output of a command of ``.venv/bin`` that exits with a code."""
        program, *options = command.split()
        done = subprocess.run(
            [BIN / program, *options, *arguments],
            cwd=self.folder, env=self._env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{command} exits with {done.returncode}:\n{done.stdout}"
        return done.stdout


@pytest.fixture
def desk(stack: Stack, tmp_path: Path) -> Desk:
    (tmp_path / "candles").mkdir()
    for name, drift in (("EUR_USD", 2.5e-5), ("USD_CHF", 0.0)):
        path = tmp_path / "candles" / f"{name}_M1_2024-03.csv"
        write_candles(path, days=21, seed=len(name) + int(drift > 0), drift=drift)
    (tmp_path / "grid.yaml").write_text(GRID)
    return Desk(tmp_path, stack)


def test_candles_become_parameters_in_force_and_are_taken_back(desk: Desk, stack: Stack) -> None:
    files = sorted(str(p) for p in (desk.folder / "candles").iterdir())
    desk.run("sep-data import csv", *files, "--out", "catalogue")
    desk.run("sep-data check catalogue --market-calendar 24x7")
    assert "USD_CHF" in desk.run("sep-data list catalogue")
    desk.run(
        "sep-research sweep catalogue --grid grid.yaml --walk-forward 4d/4d --embargo 1d --null 19"
        " --market-calendar 24x7 --out run"
    )
    report = (desk.folder / "run" / "report.html").read_text()
    assert "EUR_USD" in report
    assert "http" not in report
    assert list(json.loads((desk.folder / "run" / "winners.json").read_text())) == ["EUR_USD"]

    fixed = "--set MARKET_CALENDAR=24x7 --from 2024-03-20"
    desk.run(f"sep-replay catalogue {fixed} --out old")
    desk.run(f"sep-replay catalogue {fixed} --params run/winners.json --out new")
    assert "drawdown" in desk.run("sep-replay compare old new")

    assert "REFUSED" in desk.run("sep-params promote run USD_CHF --reason test", code=1)
    assert "dry run" in desk.run("sep-params promote run EUR_USD --reason test --dry-run")
    desk.run("sep-params diff run EUR_USD", code=1)
    desk.run("sep-params promote run EUR_USD --reason walk-forward")
    desk.run("sep-params diff run EUR_USD")
    name = parameters_run(stack, r"run@.+")
    assert name in desk.run("sep-params show")
    assert name in desk.run("sep-ops why-no-trade")
    ready = stack.read("/api/trade/readiness")["readiness"]
    assert [r["instrument"] for r in ready if r["parameters_run"]] == ["EUR_USD"]

    desk.run("sep-params rollback EUR_USD --reason worse")
    assert desk.run("sep-params history EUR_USD").count(name) == 1
    parameters_run(stack, "")
    desk.run("sep-params diff run EUR_USD", code=1)


def parameters_run(stack: Stack, expected: str) -> str:
    """The run of the parameters in force, once it matches: statuses may be some seconds old."""
    deadline = time.monotonic() + 60
    while True:
        status = stack.read("/api/coherence/status?instrument=EUR_USD")["statuses"][0]
        found = str(status["parameters_run"])
        if re.fullmatch(expected, found):
            return found
        assert time.monotonic() < deadline, f"{found!r} is not {expected!r}"
        time.sleep(0.5)


def test_candles_of_the_stack_are_pulled_by_dates(desk: Desk, stack: Stack) -> None:
    newest = stack.read("/api/candles?instrument=EUR_USD&granularity=S5&limit=1")
    since = format_seconds(int(newest["candles"][0]["ts_ms"]) // 1000 - 3600)
    pull = f"sep-data pull pulled --instruments EUR_USD --granularity S5 --from {since}"
    desk.run(pull)
    desk.run(pull)
    desk.run("sep-data check pulled --market-calendar 24x7")
    assert "S5" in desk.run("sep-data list pulled")
