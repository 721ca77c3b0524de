"""The command line: output, refused input, exit codes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sep_evaluator import cli
from sep_evaluator.cli.files import CommandFailedError, write_out
from sep_evaluator.cli.parser import INTERRUPTED
from sep_evaluator.cli.sweep import Market, combinations, sweep
from sep_evaluator.domain.backtest import StrictSpanRun
from sep_evaluator.domain.params import StrategyParams
from sep_fx.bars import Bars
from sep_fx.candle_csv import PRICE_COLUMNS, read_candle_file
from sep_fx.instants import format_seconds
from sep_fx.sessions import MarketCalendar, SessionCalendar

from .candles import candle_path, golden, random_walk

HEADER = "time," + ",".join(PRICE_COLUMNS)
EASY = {"c_min": 0, "max_entropy": 1, "dir_threshold_bps": 0.5, "max_spread_bps": 20}


def csv_of(bars: Bars) -> str:
    prices = zip(*(getattr(bars, name) for name in PRICE_COLUMNS), strict=True)
    rows = (
        ",".join([format_seconds(int(at)), *(f"{p!r}" for p in map(float, row))])
        for at, row in zip(bars.time, prices, strict=True)
    )
    return "\n".join([HEADER, *rows, ""])


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    path = tmp_path / "EUR_USD_M1_2014.csv"
    path.write_text(csv_of(random_walk(1, 1500)))
    return path


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "grid.yaml"
    path.write_text("c_min: [0.0, 0.5]\nmax_entropy: 1.0\nreward_risk: [1, 2, 3]\n")
    return path


def failure(capsys: pytest.CaptureFixture[str], code: int, *argv: object) -> str:
    """Run a command that fails and return its one line on stderr."""
    try:
        ended = cli.main([str(a) for a in argv])
    except SystemExit as exit_:  # argparse exits itself
        ended = exit_.code  # type: ignore[assignment]
    captured = capsys.readouterr()
    assert (ended, captured.out) == (code, "")
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_windows_are_written_one_object_each(candles: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert cli.main(["windows", "--candles", str(candles), "--json", str(out)]) == 0
    windows = json.loads(out.read_text())
    assert [w["index"] for w in windows] == list(range(69, 1500))
    assert list(windows[0]) == [
        "index", "time", "mid", "coherence", "stability", "rupture", "entropy", "lambda",
        "sigma_eff",
    ]  # fmt: skip
    assert set(tmp_path.iterdir()) == {candles, out}


def test_windows_match_the_golden_file(tmp_path: Path) -> None:
    expected = golden("metrics_EUR_USD")
    out = tmp_path / "out.json"
    path = candle_path(expected["source"])
    assert cli.main(["windows", "--candles", str(path), "--json", str(out)]) == 0
    windows = {w["index"]: w for w in json.loads(out.read_text())}
    for window in expected["windows"]:
        ours = windows[window["index"]]
        assert ours["time"] == window["time"]
        assert {k: pytest.approx(v, abs=1e-9) for k, v in window.items() if k != "time"} == {
            k: v for k, v in ours.items() if k != "time"
        }


def test_a_backtest_matches_the_golden_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = golden("backtest_NZD_USD")
    path = candle_path(expected["source"])
    for case in expected["runs"]:
        (tmp_path / "params.json").write_text(json.dumps(case["params"]))
        argv = ["backtest", "--candles", str(path), "--market-calendar", "24x7", "--json", "-"]
        assert cli.main([*argv, "--params", f"@{tmp_path / 'params.json'}"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["params"] == case["params"]
        assert (result["trades"], result["wins"]) == (case["trades"], case["wins"])
        assert result["pnl_total"] == pytest.approx(case["pnl_total"], abs=1e-9)
        assert result["max_drawdown"] == pytest.approx(case["max_drawdown"], abs=1e-9)
        assert len(result["all"]) == case["trades"]
        for ours, theirs in zip(result["all"], case["first"], strict=False):
            assert list(ours) == list(theirs)
            assert ours == {
                k: pytest.approx(v, abs=1e-9) if isinstance(v, float) else v
                for k, v in theirs.items()
            }


def test_the_calendar_closes_sessions(candles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reasons = {}
    for calendar in ("fx", "24x7"):
        argv = ["backtest", "--candles", str(candles), "--params", json.dumps(EASY)]
        assert cli.main([*argv, "--market-calendar", calendar, "--json", "-"]) == 0
        trades = json.loads(capsys.readouterr().out)["all"]
        reasons[calendar] = {trade["reason"] for trade in trades}
    assert "session" in reasons["fx"]
    assert "session" not in reasons["24x7"]


def test_a_malformed_row_is_refused_with_its_line_and_reason(
    candles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = candles.read_text().splitlines()
    lines[41] = lines[41].replace("1.", "-1.", 1)
    lines[99] = "nonsense"
    candles.write_text("\n".join(lines))
    message = failure(capsys, 1, "windows", "--candles", candles, "--json", "-")
    assert f"{candles}: line 42: " in message
    assert "bid_o is -1." in message
    assert message.endswith("--skip-bad")

    argv = ["windows", "--candles", str(candles), "--json", "-", "--skip-bad"]
    assert cli.main(argv) == 0
    captured = capsys.readouterr()
    assert captured.err == "skipped 2 malformed rows\n"
    assert len(json.loads(captured.out)) == 1500 - 2 - 69


def test_too_few_candles_give_no_windows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "EUR_USD_M1_short.csv"
    path.write_text(csv_of(random_walk(1, 69)))
    assert cli.main(["windows", "--candles", str(path), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("code", "argv", "expected"),
    [
        (2, ["windows", "--json", "-"], "the following arguments are required: --candles"),
        (2, ["backtest", "--candles", "{csv}", "--json", "-", "--params", "{"], "--params: "),
        (2, ["backtest", "--candles", "{csv}", "--json", "-", "--params", "[]"], "a JSON object"),
        (2, ["backtest", "--candles", "{csv}", "--json", "-", "--params", "@/no/file"], "--params"),
        (
            2,
            ["backtest", "--candles", "{csv}", "--json", "-", "--params", '{"c_min": 7, "x": 1}'],
            "c_min is 7, allowed is a number from 0 to 1; x is 1: unknown parameter",
        ),
        (
            2,
            ["backtest", "--candles", "{csv}", "--json", "-", "--granularity", "M7"],
            "--granularity is 'M7', allowed are S5, ",
        ),
        (2, ["backtest", "--candles", "x.csv", "--json", "-"], "give --instrument"),
        (1, ["windows", "--candles", "/no/file.csv", "--json", "-"], "can't read /no/file.csv"),
        (1, ["windows", "--candles", "{csv}", "--json", "/no/out"], "can't write /no/out"),
        (1, ["sweep", "--candles", "/no", "--grid", "{grid}", "--json", "-"], "not a directory"),
        (2, ["sweep", "--candles", "/no", "--grid", "{csv}", "--json", "-"], "--grid: "),
        (2, ["sweep", "--candles", "/no", "--grid", "/no", "--json", "-"], "--grid: "),
    ],
)
def test_an_error_is_one_line_with_its_reason(
    candles: Path,
    grid: Path,
    capsys: pytest.CaptureFixture[str],
    code: int,
    argv: list[str],
    expected: str,
) -> None:
    paths: dict[str, object] = {"{csv}": candles, "{grid}": grid}
    assert expected in failure(capsys, code, *(paths.get(a, a) for a in argv))


@pytest.mark.parametrize("command", [[], ["windows"], ["backtest"], ["sweep"]])
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main([*command, "--help"])
    assert exit_.value.code == 0
    assert "usage: sep-evaluator" in capsys.readouterr().out


def test_nothing_heavy_is_imported_before_a_command_runs() -> None:
    code = "import sys, sep_evaluator.cli; print({'numpy', 'numba', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def separate_runs(
    series: dict[str, Bars], grid: list[StrategyParams], calendar: SessionCalendar
) -> list[tuple[str, StrategyParams, Any]]:
    expected = []
    for instrument, bars in series.items():
        for params in grid:
            run = StrictSpanRun(params, 60, instrument, calendar, 5)
            run.extend(bars)
            expected.append((instrument, params, run.summary()))
    return expected


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("calendar", [MarketCalendar.FX, MarketCalendar.ALWAYS])
def test_a_sweep_equals_separate_runs(workers: int, calendar: MarketCalendar) -> None:
    series = {f"A{i}_USD": random_walk(i, 900) for i in range(3)} | {"EMPTY_USD": Bars.empty()}
    grid = combinations(
        EASY | {"direction_lookback": [5, 12], "reward_risk": [1.0 + i / 20 for i in range(35)]}
    )
    market = Market(granularity_s=60, calendar=SessionCalendar(calendar), exit_minutes=5)
    done: list[int] = []
    rows = list(sweep(series.items(), grid, market, workers=workers, progress=done.append))
    expected = separate_runs(series, grid, market.calendar)
    assert [(r.instrument, r.params, r.summary) for r in rows] == expected
    assert sum(done) == len(rows) == 4 * 70
    assert any(row.summary.trades for row in rows)


def test_a_grid_lists_every_fault() -> None:
    with pytest.raises(ValueError, match="c_min has no values") as caught:
        combinations({"c_min": [], "reward_risk": [1, -1, "x"], "colour": 3})
    for fault in ("reward_risk is -1", "reward_risk is 'x'", "colour is 3: unknown"):
        assert fault in str(caught.value)
    with pytest.raises(ValueError, match="combinations, allowed are up to 1000000"):
        combinations({"c_min": [0.5] * 2000, "reward_risk": [1] * 2000})
    assert combinations({"c_min": 0.5}) == [StrategyParams(c_min=0.5)]


def test_a_sweep_over_a_directory(
    tmp_path: Path, grid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = random_walk(3, 1200)
    (tmp_path / "EUR_USD_M1_a.csv").write_text(csv_of(whole.slice(0, 500)))
    (tmp_path / "EUR_USD_M1_b.csv").write_text(csv_of(whole.slice(500, 1200)))
    (tmp_path / "USD_JPY_M1_a.csv").write_text(csv_of(random_walk(4, 300)) + "bad,row\n")
    argv = ["sweep", "--candles", str(tmp_path), "--grid", str(grid), "--json", "-"]
    argv += ["--market-calendar", "24x7", "--workers", "2"]
    assert cli.main(argv) == 1
    assert "USD_JPY_M1_a.csv: line 302: 2 fields, expected 9" in capsys.readouterr().err

    assert cli.main([*argv, "--skip-bad"]) == 0
    captured = capsys.readouterr()
    assert "skipped 1 malformed rows" in captured.err
    result = json.loads(captured.out)
    assert result["instruments"] == ["EUR_USD", "USD_JPY"]
    assert len(result["results"]) == 2 * 6
    first = result["results"][0]
    assert first["params"] == {"c_min": 0.0, "max_entropy": 1.0, "reward_risk": 1.0}
    run = StrictSpanRun(
        StrategyParams(**first["params"]), 60, "EUR_USD", SessionCalendar(MarketCalendar.ALWAYS), 5
    )
    run.extend(read_candle_file(tmp_path / "EUR_USD_M1_a.csv").bars)
    run.extend(read_candle_file(tmp_path / "EUR_USD_M1_b.csv").bars)
    summary = run.summary()
    for name in ("trades", "win_rate", "pnl_total", "max_drawdown", "calmar"):
        assert first[name] == getattr(summary, name)


def test_files_out_of_order_are_refused(
    tmp_path: Path, grid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        (tmp_path / f"EUR_USD_M1_{name}.csv").write_text(csv_of(random_walk(3, 100)))
    assert cli.main(["sweep", "--candles", str(tmp_path), "--grid", str(grid), "--json", "-"]) == 1
    assert "EUR_USD_M1_b.csv begins before the file before it ends" in capsys.readouterr().err


def test_an_interrupted_sweep_leaves_nothing_behind(tmp_path: Path, grid: Path) -> None:
    """The last file is a pipe: opening it blocks until the sweep is reading its files."""
    for i in range(3):
        (tmp_path / f"A{i}_USD_M1_a.csv").write_text(csv_of(random_walk(i, 2000)))
    pipe, out = tmp_path / "EUR_USD_M1_pipe.csv", tmp_path / "out.json"
    os.mkfifo(pipe)
    argv = ["sweep", "--candles", str(tmp_path), "--grid", str(grid), "--json", str(out)]
    sweeping = subprocess.Popen(
        [sys.executable, "-m", "sep_evaluator.cli", *argv],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        with pipe.open("w"):
            os.killpg(sweeping.pid, signal.SIGINT)
        _, message = sweeping.communicate(timeout=90)
    finally:
        sweeping.kill()
    assert sweeping.returncode == INTERRUPTED
    assert "interrupted, nothing was written" in message
    assert "Traceback" not in message
    assert not out.exists()


def test_a_reader_that_closes_stdout_early_causes_no_traceback(candles: Path) -> None:
    command = [sys.executable, "-m", "sep_evaluator.cli", "windows", "--candles", str(candles)]
    with subprocess.Popen(
        [*command, "--json", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as writing:
        assert writing.stdout is not None
        assert writing.stderr is not None
        writing.stdout.read(10)
        writing.stdout.close()
        assert writing.stderr.read() == b""


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    out.write_text("old")

    def failing() -> Iterator[str]:
        yield "new"
        raise OSError("disk full")

    with pytest.raises(CommandFailedError, match="disk full"):
        write_out(str(out), failing())
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]
