"""Runs: files, the same bytes on any number of workers, on a cluster, and from the manifest."""

import csv
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sep_data.catalogue import Catalogue
from sep_evaluator.domain.params import StrategyParams, digest_of
from sep_fx.granularity import Granularity
from sep_research.cli import main
from sep_research.engine import ClusterEngine
from sep_research.run_folder import write_run
from sep_research.sweep import sweep

from .plans import plan
from .tapes import catalogue_of, noise, trends

FILES = (
    "folds.csv", "manifest.json", "report.html", "results.parquet", "summary.json", "winners.json",
)  # fmt: skip
OPTIONS = ("--walk-forward", "4d/4d", "--null", "19", "--market-calendar", "24x7")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tapes = {"EUR_USD": trends(1440 * 14, 1), "GBP_USD": noise(1440 * 14, 2)}
    return catalogue_of(tmp_path_factory.mktemp("candles") / "c", **tapes)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grid") / "grid.yaml"
    path.write_text("c_min: [0.4, 0.5]\ndir_threshold_bps: [1.0, 2.0, 3.0]\n")
    return path


@pytest.fixture(scope="module")
def run(catalogue: Path, grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    args = ["sweep", str(catalogue), "--grid", str(grid), *OPTIONS, "--out", str(out)]
    assert main([*args, "--workers", "1"]) == 0
    return out


def content(folder: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(found) == list(FILES)
    return found


def test_the_edge_is_promoted_and_the_noise_is_not(run: Path) -> None:
    verdicts = {
        v["instrument"]: v for v in json.loads((run / "manifest.json").read_text())["verdicts"]
    }
    assert verdicts["EUR_USD"]["promote"]
    assert not verdicts["GBP_USD"]["promote"]
    winners = json.loads((run / "winners.json").read_text())
    assert list(winners) == ["EUR_USD"]
    assert winners["EUR_USD"] == verdicts["EUR_USD"]["params"]


def test_a_row_has_all_parameters_and_what_it_was_made_from(run: Path, catalogue: Path) -> None:
    rows = pq.read_table(run / "results.parquet").to_pylist()
    assert len(rows) == 12
    first = rows[0]
    assert (first["instrument"], first["rank"]) == ("EUR_USD", 1)
    assert first["max_rupture"] == 0.6
    assert first["out_t"] == max(r["out_t"] for r in rows if r["instrument"] == "EUR_USD")
    manifest = json.loads((run / "manifest.json").read_text())
    assert first["candles_sha256"] == manifest["candles"]["EUR_USD"]["sha256"]
    assert manifest["candles"]["EUR_USD"]["bars"] == 1440 * 14


def test_folds_have_what_was_chosen_in_training(run: Path) -> None:
    with (run / "folds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["instrument"], r["fold"]) for r in rows] == [
        ("EUR_USD", "1"), ("EUR_USD", "2"), ("GBP_USD", "1"), ("GBP_USD", "2")
    ]  # fmt: skip
    assert rows[0]["train_to"] < rows[0]["test_from"]
    assert float(rows[0]["train_t"]) > 3
    assert float(rows[0]["test_return"]) > 0


def test_the_summary_agrees_with_the_other_files(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    manifest = json.loads((run / "manifest.json").read_text())
    rows = pq.read_table(run / "results.parquet").to_pylist()
    assert [found["verdict"] for found in summary["instruments"]] == manifest["verdicts"]
    assert summary["null_best"] == pytest.approx(manifest["null_best"], abs=1e-4)
    assert summary["space"] == {"c_min": [0.4, 0.5], "dir_threshold_bps": [1.0, 2.0, 3.0]}
    assert set(summary["reasons"]) == set(manifest["verdicts"][1]["reasons"])
    edge = summary["instruments"][0]
    winner = StrategyParams.from_mapping(manifest["verdicts"][0]["params"])
    assert edge["params_digest"] == digest_of(winner)
    (heatmap,) = edge["heatmaps"]  # Of two parameters, so that each cell is one set.
    assert (heatmap["across"], heatmap["down"]) == ("c_min", "dir_threshold_bps")
    for row in [r for r in rows if r["instrument"] == "EUR_USD"]:
        at = summary["space"]["dir_threshold_bps"].index(row["dir_threshold_bps"])
        cell = heatmap["t"][at][summary["space"]["c_min"].index(row["c_min"])]
        assert cell == pytest.approx(row["out_t"], abs=1e-4)
    with (run / "folds.csv").open() as file:
        folds = [r for r in csv.DictReader(file) if r["instrument"] == "EUR_USD"]
    assert [f["chosen"]["test_return"] for f in edge["folds"]] == [
        float(fold["test_return"]) for fold in folds
    ]
    assert [f["test_to"] for f in edge["folds"]] == [fold["test_to"] for fold in folds]


def test_the_report_needs_no_network(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    for word in ("http://", "https://", "<script", "<link", "@import", "src="):
        assert word not in page
    assert page.count("<svg") == 5
    assert "Promoted: nothing speaks against the best set." in page
    assert "<li>NULL_EXPLAINS: the same search does as well" in page


@pytest.mark.parametrize("workers", ["2", "5"])
def test_a_run_repeats_from_its_manifest_to_the_byte(
    run: Path, catalogue: Path, tmp_path: Path, workers: str
) -> None:
    again = tmp_path / "again"
    args = ["repeat", str(run), str(catalogue), "--out", str(again), "--workers", workers]
    assert main(args) == 0
    assert content(again) == content(run)


def test_another_seed_gives_other_null_runs(
    run: Path, catalogue: Path, grid: Path, tmp_path: Path
) -> None:
    out = tmp_path / "other"
    args = ["sweep", str(catalogue), "--grid", str(grid), *OPTIONS, "--seed", "2"]
    assert main([*args, "--out", str(out)]) == 0
    nulls = [json.loads((r / "manifest.json").read_text())["null_best"] for r in (run, out)]
    assert nulls[0] != nulls[1]


def test_other_candles_are_no_repetition(run: Path, tmp_path: Path, capsys: Any) -> None:
    other = catalogue_of(tmp_path / "c", EUR_USD=trends(1440 * 14, 5), GBP_USD=noise(1440 * 14, 2))
    assert main(["repeat", str(run), str(other), "--out", str(tmp_path / "again")]) == 1
    assert "other candles of EUR_USD" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_another_version_is_no_repetition(
    run: Path, catalogue: Path, tmp_path: Path, capsys: Any
) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["versions"]["numpy"] = "1.0"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    args = ["repeat", str(tmp_path), str(catalogue), "--out", str(tmp_path / "again")]
    assert main(args) == 1
    assert "it can't be repeated to the byte" in capsys.readouterr().err


def test_two_runs_never_mix(run: Path, catalogue: Path, grid: Path, capsys: Any) -> None:
    before = content(run)
    args = ["sweep", str(catalogue), "--grid", str(grid), *OPTIONS, "--out", str(run)]
    assert main(args) == 1
    assert "is not empty: give --out a new folder" in capsys.readouterr().err
    assert content(run) == before


BAD = {
    "unknown parameter": ("c_max: [1]", (), "c_max is 1: unknown parameter"),
    "out of range": ("c_min: [2]", (), "c_min is 2, allowed is"),
    "no mapping": ("- 1", (), "expected parameter names"),
    "too short": ("c_min: 0.5", ("--walk-forward", "60d/30d"), "one fold needs 91.0"),
    "no such instrument": (
        "c_min: 0.5",
        ("--instruments", "USD_JPY"),
        "USD_JPY; the catalogue has",
    ),
    "no such granularity": ("c_min: 0.5", ("--granularity", "M5"), "has no M5 candles"),
    "no such range": ("c_min: 0.5", ("--from", "2030-01-01"), "no M1 candles of"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_can_t_be_swept_is_named(
    catalogue: Path, tmp_path: Path, capsys: Any, name: str
) -> None:
    text, options, message = BAD[name]
    grid = tmp_path / "grid.yaml"
    grid.write_text(text)
    args = ["sweep", str(catalogue), "--grid", str(grid), *OPTIONS, *options]
    assert main([*args, "--out", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "wrong",
    [("--walk-forward", "60d"), ("--embargo", "0d"), ("--null", "-1"), ("--workers", "0")],
)
def test_wrong_usage_exits_with_2(catalogue: Path, grid: Path, wrong: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["sweep", str(catalogue), "--grid", str(grid), "--out", "run", *wrong])
    assert exit_.value.code == 2


def test_a_scheduler_that_does_not_answer_has_its_own_exit_code(
    catalogue: Path, grid: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sep_research.engine._CONNECT_S", 1)
    args = ["sweep", str(catalogue), "--grid", str(grid), *OPTIONS, "--out", str(tmp_path / "r")]
    assert main([*args, "--scheduler", "tcp://127.0.0.1:9"]) == 69
    assert "no scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A real scheduler with two worker processes, on loopback."""
    from distributed import LocalCluster

    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1",
        dashboard_address=None, worker_dashboard_address=None,
    ) as found:  # fmt: skip
        yield found


@pytest.mark.filterwarnings("default")
def test_a_cluster_gives_the_same_bytes_even_if_a_worker_is_killed(
    run: Path, catalogue: Path, tmp_path: Path, cluster: Any
) -> None:
    done = []

    def kill_one(count: int, _total: int) -> None:
        done.append(count)
        if len(done) == 3:
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

    names = ("EUR_USD", "GBP_USD")
    chosen = plan(instruments=names, granularity=Granularity.M1)
    engine = ClusterEngine(cluster.scheduler_address)
    result = sweep(Catalogue(catalogue), chosen, engine, kill_one)
    write_run(tmp_path / "run", chosen, result)
    assert len(done) > 3
    assert content(tmp_path / "run") == content(run)
