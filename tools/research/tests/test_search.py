"""An adaptive search: repeatable, learning, and compared with null runs that search alike."""

import json
from pathlib import Path
from statistics import median

import pytest
from sep_data.catalogue import Catalogue
from sep_evaluator.domain.params import StrategyParams
from sep_research.cli import main
from sep_research.engine import ThreadEngine
from sep_research.search import BATCH, AdaptiveSearch, Chooser, rounds_of
from sep_research.sweep import sweep

from .plans import plan
from .tapes import catalogue_of, trends

LINE = {"c_min": tuple(i / 1000 for i in range(1000)), "max_entropy": (0.5, 0.75, 1.0)}
SEARCH = AdaptiveSearch(space=LINE, sets=96)


def chosen(seed: int, number: int = 0) -> list[StrategyParams]:
    """What is chosen where the best set has a ``c_min`` of 0.7."""
    chooser, found = Chooser(SEARCH, seed, number), []
    for size in rounds_of(SEARCH):
        sets = chooser.choose(size)
        chooser.learn([-abs(params.c_min - 0.7) for params in sets])
        found += sets
    return found


def test_the_same_seed_chooses_the_same_sets_and_each_run_has_its_own() -> None:
    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)
    assert chosen(1) != chosen(1, number=1)


def test_no_set_is_run_twice_and_the_search_learns() -> None:
    found = chosen(3)
    assert len(set(found)) == len(found) <= SEARCH.sets
    start, rest = found[: 2 * BATCH], found[2 * BATCH :]
    distance = [median(abs(p.c_min - 0.7) for p in part) for part in (start, rest)]
    assert distance[1] < distance[0] / 2


def test_neighbours_are_one_value_away_and_within_the_space() -> None:
    search = AdaptiveSearch(space={"c_min": (0.4, 0.5, 0.6), "max_entropy": (0.7,)}, sets=2)
    middle = StrategyParams(c_min=0.5, max_entropy=0.7)
    assert [p.c_min for p in search.beside(middle)] == [0.4, 0.6]
    assert [p.c_min for p in search.beside(StrategyParams(c_min=0.6, max_entropy=0.7))] == [0.5]


def test_an_edge_is_found_and_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    catalogue = Catalogue(catalogue_of(tmp_path / "c", EUR_USD=trends(1440 * 21, 1)))
    space = {"c_min": (0.3, 0.4, 0.5), "dir_threshold_bps": (1.0, 1.5, 2.0, 2.5, 3.0)}
    search = AdaptiveSearch(space=space, sets=12)
    found = [
        sweep(
            catalogue,
            plan(grid=(), names=tuple(space), search=search),
            ThreadEngine(workers),
            lambda _done, _total: None,
        )
        for workers in (1, 2)
    ]
    verdict = found[0].results[0].verdict
    assert verdict.as_json() == found[1].results[0].verdict.as_json()
    assert found[0].plan == found[1].plan
    assert found[0].null_best == found[1].null_best
    assert len(found[0].null_best) == 19
    assert verdict.neighbours_t is not None
    assert (verdict.promote, verdict.reasons) == (True, ())


def test_a_run_repeats_from_its_manifest_to_the_byte(tmp_path: Path) -> None:
    catalogue = str(catalogue_of(tmp_path / "c", EUR_USD=trends(1440 * 9, 1)))
    grid = tmp_path / "grid.yaml"
    grid.write_text("c_min: [0.3, 0.4, 0.5]\ndir_threshold_bps: [1, 2, 3]\n")
    options = ["--adaptive", "5", "--walk-forward", "4d/4d", "--null", "2"]
    calendar = ["--market-calendar", "24x7", "--embargo", "12h"]
    runs = [tmp_path / "run", tmp_path / "again"]
    assert main(["sweep", catalogue, "--grid", str(grid), *options, *calendar, "--workers", "1",
                 "--out", str(runs[0])]) == 0  # fmt: skip
    assert main(["repeat", str(runs[0]), catalogue, "--workers", "2", "--out", str(runs[1])]) == 0
    names = sorted(p.name for p in runs[0].iterdir())
    assert names == sorted(p.name for p in runs[1].iterdir())
    for name in names:
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes(), name
    manifest = json.loads((runs[0] / "manifest.json").read_text())
    assert manifest["plan"]["search"]["sets"] == 5
    assert 0 < len(manifest["plan"]["grid"]) <= 5


@pytest.mark.parametrize("text", ["c_min: []\n", "c_min: [7]\n", "c_mim: [0.5]\n", "5\n"])
def test_a_space_that_can_not_be_searched_is_refused(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue = str(catalogue_of(tmp_path / "c", EUR_USD=trends(1440, 1)))
    grid = tmp_path / "grid.yaml"
    grid.write_text(text)
    code = main(["sweep", catalogue, "--grid", str(grid), "--adaptive", "5", "--out",
                 str(tmp_path / "run")])  # fmt: skip
    assert code == 1
    assert "--grid" in capsys.readouterr().err
