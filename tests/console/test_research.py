"""Runs in the Research view: a real one, made by a real sweep, and files that are none."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Locator, expect

from tests.console.canned import CannedStack
from tests.console.screen import Screen, violations
from tests.e2e.test_research_path import write_candles

PICTURES = Path(__file__).parents[2] / "build" / "console"
GRID = "c_min: [0.4, 0.5]\ndir_threshold_bps: [1.0, 2.0, 3.0]\nmax_rupture: [0.5, 0.6]\n"
# In one process, since importing the libraries of the research takes longer than the sweeps.
COMMANDS = """
import sys
from sep_data.__main__ import main as data
from sep_research.cli import main as research
fixed = "--walk-forward 4d/4d --null 19 --market-calendar 24x7".split()
code = data(["import", "csv", *sys.argv[1:], "--out", "catalogue"])
for name in ("wide", "narrow"):
    code |= research(
        ["sweep", "catalogue", *fixed, "--grid", f"{name}.yaml", "--out", f"runs/{name}"]
    )
sys.exit(code)
"""
Open = Callable[..., Screen]
pytestmark = pytest.mark.timeout(600)  # On a busy machine the sweeps take a minute.


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs of six and twelve sets: an edge in EUR_USD, noise in USD_CHF."""
    folder = tmp_path_factory.mktemp("research")
    for name, drift in (("EUR_USD", 2.5e-5), ("USD_CHF", 0.0)):
        write_candles(folder / f"{name}_M1_2024-03.csv", days=14, seed=len(name), drift=drift)
    (folder / "wide.yaml").write_text(GRID)
    (folder / "narrow.yaml").write_text(GRID.replace("[0.5, 0.6]", "0.6"))
    files = sorted(path.name for path in folder.glob("*.csv"))
    done = subprocess.run(
        [sys.executable, "-P", "-c", COMMANDS, *files], cwd=folder, capture_output=True, text=True,
        timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "runs"


def summary_of(run: Path) -> Any:
    return json.loads((run / "summary.json").read_text())


def choose(screen: Screen, folder: Path) -> None:
    """Choose a folder, as a user does."""
    screen.page.get_by_label("Folder of a run").set_input_files(folder)


def looks_well(
    screen: Screen, looks: Iterable[tuple[Literal["light", "dark"], int]], name: str
) -> None:
    """The page fits and is accessible in these themes and widths."""
    for scheme, width in looks:
        screen.page.emulate_media(color_scheme=scheme)
        screen.resize(width)
        screen.take_picture(PICTURES / f"research-{name}-{scheme}-{width}.png")
        assert violations(screen) == [], (scheme, width)


def region(screen: Screen, name: str) -> Locator:
    return screen.page.get_by_role("region", name=name, exact=True)


def test_a_run_shows_what_it_found_and_nothing_of_it_is_sent(
    look: Open, canned: CannedStack, made: Path
) -> None:
    screen = look("research")
    expect(screen.page.get_by_text("No run is open.")).to_be_visible()
    choose(screen, made / "wide")
    run = summary_of(made / "wide")
    edge = run["instruments"][0]
    assert edge["verdict"]["promote"]
    opened = region(screen, "Opened runs").get_by_role("row")
    expect(opened).to_have_count(2)
    expect(opened.last).to_contain_text("EUR_USD may be promoted, of 12 sets on 2 instruments")
    verdict = region(screen, "Verdict and figures")
    expect(verdict).to_contain_text("promote: nothing speaks against the best set")
    expect(verdict).to_contain_text(edge["params_digest"])
    expect(verdict).to_contain_text(edge["candles_sha256"][:12])
    expect(verdict).to_contain_text("c_min 0.4 0.5, dir_threshold_bps 1 2 3, max_rupture 0.5 0.6")
    folds = region(screen, "Folds of wide").last.get_by_role("row")
    expect(folds).to_have_count(1 + len(edge["folds"]))
    expect(folds.nth(1)).to_contain_text(edge["folds"][0]["test_from"][:10])
    heatmap = region(screen, "t-statistic by c_min and dir_threshold_bps")
    expect(heatmap.get_by_role("cell")).to_have_count(6)
    expect(heatmap.get_by_text("◆")).to_have_count(1)
    choice = screen.page.get_by_role("combobox", name="Parameters")
    choice.select_option("dir_threshold_bps, max_rupture")
    heatmap = region(screen, "t-statistic by dir_threshold_bps and max_rupture")
    expect(heatmap.get_by_role("cell")).to_have_count(6)
    shown = heatmap.get_by_role("cell").first.inner_text().replace("\N{MINUS SIGN}", "-")
    assert float(shown.strip("◆ ")) == pytest.approx(edge["heatmaps"][2]["t"][0][0], rel=0.01)
    nulls = region(screen, "Null runs of wide").last.get_by_role("row")
    expect(nulls.filter(has_text="the winner")).to_have_count(1)
    counts = [int(row.get_by_role("cell").nth(1).inner_text()) for row in nulls.all()[1:]]
    assert sum(counts) == 19

    screen.page.get_by_label("Instrument of the run").select_option("USD_CHF")
    expect(verdict).to_contain_text("refuse")
    for reason in run["instruments"][1]["verdict"]["reasons"]:
        expect(verdict).to_contain_text(f"{reason}: {run['reasons'][reason]}")
    looks_well(screen, (("light", 1280), ("dark", 390)), "run")
    assert screen.writes() == []
    assert canned.bodies == []


def test_a_run_whose_parameters_are_in_force_is_marked(
    look: Open, canned: CannedStack, made: Path
) -> None:
    found = canned.answers["GET /api/parameters"]
    assert isinstance(found, dict)
    in_force = next(p for p in found["parameters"] if p["instrument"] == "EUR_USD")
    in_force["digest"] = summary_of(made / "wide")["instruments"][0]["params_digest"]
    screen = look("research")
    choose(screen, made / "wide")
    row = region(screen, "Verdict and figures").get_by_role("row").filter(has_text="In force")
    expect(row).to_contain_text(re.compile("yes, since"))
    screen.page.get_by_label("Instrument of the run").select_option("USD_CHF")
    expect(row).to_contain_text("no")


def test_two_runs_are_compared_side_by_side(look: Open, made: Path) -> None:
    screen = look("research")
    choose(screen, made)  # A folder of runs: all of them.
    expect(region(screen, "Opened runs").get_by_role("row")).to_have_count(3)
    screen.page.get_by_role("button", name="Compare with wide").click()
    verdict = region(screen, "Verdict and figures")
    expect(verdict.get_by_role("columnheader")).to_have_text(["Run", "narrow", "wide"])
    searched = verdict.get_by_role("row").filter(has_text="Searched")
    expect(searched).to_contain_text("6 sets12 sets")
    expect(searched.get_by_role("img", name="differs")).to_be_visible()
    expect(verdict.get_by_role("row").filter(has_text="Candles")).not_to_contain_text("≠")
    for name in ("Folds of narrow", "Folds of wide", "Null runs of narrow", "Null runs of wide"):
        expect(region(screen, name).first).to_be_visible()
    looks_well(screen, (("dark", 1280), ("light", 390)), "compare")
    screen.page.get_by_role("link", name="Overview").click()
    screen.page.get_by_role("link", name="Research").click()
    expect(region(screen, "Opened runs").get_by_role("row")).to_have_count(3)
    screen.page.get_by_role("button", name="Close wide").click()
    expect(region(screen, "Folds of wide")).to_have_count(0)


def test_what_is_no_run_or_damaged_says_why(look: Open, made: Path, tmp_path: Path) -> None:
    for name in ("cut off", "older", "later", "wrong", "good"):
        shutil.copytree(made / "narrow", tmp_path / "all" / name)
    folder = tmp_path / "all"
    (folder / "older" / "summary.json").unlink()
    text = (folder / "wrong" / "summary.json").read_text()
    (folder / "cut off" / "summary.json").write_text(text[:1000])
    (folder / "wrong" / "summary.json").write_text(text.replace('"sets": 6', '"sets": "6"'))
    (folder / "later" / "summary.json").write_text(text.replace('"format": 1', '"format": 2'))
    screen = look("research")
    choose(screen, folder)
    rows = region(screen, "Opened runs").get_by_role("row")
    expect(rows).to_have_count(6)
    for name, words in {
        "cut off": "it is no JSON: perhaps it was cut off",
        "older": "it has no summary.json, so it was made by an older sep-research",
        "later": "its format is 2, and this console reads 1",
        "wrong": 'sets is "6", and must be a number',
        "good": "EUR_USD may be promoted",
    }.items():
        expect(rows.filter(has_text=name).filter(has_text=words)).to_have_count(1)
    expect(region(screen, "Folds of good").first).to_be_visible()
    assert violations(screen) == []
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "notes.txt").write_text("no run")
    choose(screen, tmp_path / "nothing")
    expect(screen.page.get_by_text("There is no run in it: choose a folder")).to_be_visible()
    expect(rows).to_have_count(6)


def test_a_summary_that_is_dropped_is_opened(look: Open, made: Path) -> None:
    screen = look("research")
    text = (made / "narrow" / "summary.json").read_text()
    transfer = screen.page.evaluate_handle(
        """text => {
          const data = new DataTransfer();
          data.items.add(new File([text], 'summary.json', {type: 'application/json'}));
          return data;
        }""",
        text,
    )
    target = screen.page.get_by_text("Or drop folders here")
    target.dispatch_event("drop", {"dataTransfer": transfer})
    expect(region(screen, "Opened runs").get_by_role("row")).to_have_count(2)
    expect(region(screen, "Verdict and figures")).to_contain_text("promote")
