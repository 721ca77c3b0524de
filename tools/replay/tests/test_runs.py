"""Runs that are written and compared, from catalogues and from folders of files."""

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sep_data.catalogue import Catalogue
from sep_fx.granularity import Granularity
from sep_replay import sources
from sep_replay.cli import main
from sep_replay.tape import Tape, load_tape

from .test_replay import ALWAYS, rising, write

OPEN = (*ALWAYS, "--open-gates")
FILES = ("manifest.json", "events.json", "decisions.jsonl", "nav.csv", "trades.csv")


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    folder = tmp_path / "candles"
    folder.mkdir()
    return write(folder, rising(400))


@pytest.fixture
def catalogue(tmp_path: Path, candles: Path) -> Path:
    tape = load_tape(candles)
    found = Catalogue(tmp_path / "catalogue")
    found.write("EUR_USD", tape.granularity, tape.bars["EUR_USD"])
    found.save()
    return found.folder


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def test_a_catalogue_plays_as_the_files_it_was_made_from(
    tmp_path: Path, candles: Path, catalogue: Path
) -> None:
    for source, name in ((candles, "a"), (catalogue, "b")):
        assert main([str(source), *OPEN, "--out", str(tmp_path / name)]) == 0
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_the_trades_add_up_to_the_change_of_the_balance(tmp_path: Path, candles: Path) -> None:
    assert main([str(candles), *OPEN, "--out", str(tmp_path / "run")]) == 0
    with (tmp_path / "run" / "trades.csv").open() as file:
        trades = list(csv.DictReader(file))
    with (tmp_path / "run" / "nav.csv").open() as file:
        balance = Decimal(list(csv.DictReader(file))[-1]["balance"])
    assert trades
    parts = sum(Decimal(t[n]) for t in trades for n in ("realized_pl", "financing"))
    assert Decimal(100_000) + parts == balance


def test_equal_runs_compare_as_the_same(tmp_path: Path, candles: Path, capsys: Any) -> None:
    for name in ("a", "b"):
        assert main([str(candles), *OPEN, "--out", str(tmp_path / name)]) == 0
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    output = capsys.readouterr().out
    assert "All decisions are the same." in output
    assert "What differs" not in output


def test_a_comparison_names_the_knob_and_the_first_decision_that_differs(
    tmp_path: Path, candles: Path, capsys: Any
) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    params = tmp_path / "params.json"
    params.write_text('{"EUR_USD": {"reward_risk": 0.5}}')
    assert main([str(candles), *OPEN, "--out", a]) == 0
    knobs = ("--set", "RISK_ALLOC_TARGET_PCT=0.1", "--params", str(params))
    assert main([str(candles), *OPEN, *knobs, "--out", b]) == 0
    capsys.readouterr()
    assert main(["compare", a, b, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"]["RISK_ALLOC_TARGET_PCT"] == {"a": "0.30", "b": "0.1"}
    assert found["settings"]["params.EUR_USD"]["b"]["reward_risk"] == 0.5
    one, other = found["first_difference"]["a"], found["first_difference"]["b"]
    assert (one["time"], one["subject"]) == (other["time"], other["subject"])
    assert Decimal(one["order"]) > Decimal(other["order"])
    decisions = [json.loads((Path(run) / "events.json").read_text())["events"] for run in (a, b)]
    before = [[e["order"] for e in run if e["topic"] == "decision" and e["time"] < one["time"]]
              for run in decisions]  # fmt: skip
    assert before[0] == before[1]
    assert found["a"]["nav"] != found["b"]["nav"]


def test_a_decision_that_one_run_lacks_is_shown_against_none(
    tmp_path: Path, candles: Path, capsys: Any
) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert main([str(candles), *OPEN, "--out", a]) == 0
    assert main([str(candles), *OPEN, "--set", "GUARD_MIN_COHERENCE=1", "--out", b]) == 0
    capsys.readouterr()
    assert main(["compare", a, b]) == 0
    output = capsys.readouterr().out
    assert "The first decision that differs" in output
    assert "GUARD_MIN_COHERENCE" in output


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, candles: Path, capsys: Any) -> None:
    assert main(["compare", str(tmp_path), str(candles)]) == 1
    assert "manifest.json can't be read" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["files", "catalogue"])
def test_a_range_and_an_instrument_are_selected(
    tmp_path: Path, candles: Path, catalogue: Path, kind: str
) -> None:
    source = candles if kind == "files" else catalogue
    whole = load_tape(candles).bars["EUR_USD"]
    since, until = int(whole.time[100]), int(whole.time[200])
    selection = sources.Selection(instruments=["EUR_USD"], since=since, until=until)
    tape = sources.read_tape(source, selection)
    assert tape.bars["EUR_USD"].time.tolist() == whole.time[100:200].tolist()
    assert sources.digests(tape) == sources.digests(
        Tape(Granularity.M1, {"EUR_USD": whole.slice(100, 200)})
    )


@pytest.mark.parametrize("kind", ["files", "catalogue"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--instruments", "GBP_USD"), "GBP_USD"),
        (("--granularity", "M5"), "M5"),
        (("--from", "2030-01-01"), "no candle in the selected range"),
    ],
)
def test_a_selection_of_nothing_is_refused(
    candles: Path, catalogue: Path, capsys: Any, kind: str, options: tuple[str, str], message: str
) -> None:
    source = candles if kind == "files" else catalogue
    assert main([str(source), *options]) == 1
    assert message in capsys.readouterr().err


def test_several_granularities_need_a_choice(catalogue: Path, capsys: Any) -> None:
    found = Catalogue.existing(catalogue)
    found.write("EUR_USD", Granularity.M5, found.load("EUR_USD", Granularity.M1))
    found.save()
    assert main([str(catalogue)]) == 1
    assert "choose one with --granularity" in capsys.readouterr().err
