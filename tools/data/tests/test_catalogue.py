"""The catalogue: years, ranges, imports that repeat or overlap, and how fast it loads."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from sep_data.catalogue import COLUMNS, Catalogue
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity

from .candle_files import csv_lines, market_bars, write
from .test_formats import same

M1 = Granularity.M1
NEW_YEAR = 1704067200  # 2024-01-01, a Monday; New York's holiday
PAIRS = ("EUR_USD", "USD_JPY", "GBP_USD", "EUR_JPY", "USD_CAD", "NZD_USD", "AUD_USD", "USD_CHF")


def test_a_year_is_a_file_and_ranges_cross_years(tmp_path: Path) -> None:
    bars = market_bars(10, NEW_YEAR - 5 * 86_400)
    catalogue = Catalogue(tmp_path)
    catalogue.write("EUR_USD", M1, bars)
    catalogue.save()
    found = Catalogue.existing(tmp_path)
    assert found.years("EUR_USD", M1) == [2023, 2024]
    same(found.load("EUR_USD", M1), bars)
    since, until = NEW_YEAR - 86_400 * 3, NEW_YEAR + 86_400 * 2
    same(found.load("EUR_USD", M1, since, until), bars.between(since, until))
    same(found.load("EUR_USD", M1, NEW_YEAR), bars.between(NEW_YEAR))
    assert len(found.load("GBP_USD", M1)) == 0


def test_the_same_import_twice_changes_nothing(tmp_path: Path, sep_data: Any) -> None:
    path = write(tmp_path / "EUR_USD_M1.csv", csv_lines(market_bars(0.5)))
    args = ("import", "csv", path, "--out", tmp_path / "c")
    assert sep_data(*args)[0] == 0
    before = {p: p.read_bytes() for p in (tmp_path / "c").rglob("*.*")}
    assert sep_data(*args)[0] == 0
    assert {p: p.read_bytes() for p in (tmp_path / "c").rglob("*.*")} == before


def test_bars_that_contradict_the_catalogue_are_left_out(tmp_path: Path, sep_data: Any) -> None:
    bars = market_bars(0.5)
    first = write(tmp_path / "EUR_USD_M1_a.csv", csv_lines(bars.slice(0, 400)))
    # From its fifth bar on the second file is another market, 100 bars of which are known.
    other = Bars(*(getattr(bars, n) if n in ("time", "volume") else getattr(bars, n) + 0.01
                   for n in COLUMNS))  # fmt: skip
    second = write(tmp_path / "EUR_USD_M1_b.csv", csv_lines(other.slice(300, 500)))
    assert sep_data("import", "csv", first, "--out", tmp_path / "c")[0] == 0
    code, out, _ = sep_data("import", "csv", second, "--out", tmp_path / "c")
    assert code == 0
    assert "200 rows, 100 bars, left out 100 CATALOGUE_DIFFERS" in out
    found = Catalogue.existing(tmp_path / "c").load("EUR_USD", M1)
    same(found.slice(0, 400), bars.slice(0, 400))
    same(found.slice(400, 500), other.slice(400, 500))


def test_a_list_shows_every_series(tmp_path: Path, sep_data: Any) -> None:
    catalogue = Catalogue(tmp_path)
    catalogue.write("EUR_USD", M1, market_bars(1))
    catalogue.write("EUR_USD", Granularity.M5, market_bars(1, step=300))
    catalogue.save()
    code, out, _ = sep_data("list", tmp_path)
    assert code == 0
    assert "EUR_USD M1: 2024, 1433 bars, 2024-03-04T00:00:00Z to 2024-03-04T23:59:00Z" in out
    assert "EUR_USD M5: 2024" in out


def test_eight_pairs_of_ninety_days_load_within_a_third_of_a_second(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    for seed, pair in enumerate(PAIRS):
        catalogue.write(pair, M1, market_bars(90, seed=seed))
    catalogue.save()

    def loaded() -> float:
        started = time.process_time()
        found = Catalogue.existing(tmp_path)
        bars = [found.load(pair, M1) for pair in PAIRS]
        assert all(np.isfinite(b.bid_c).all() and len(b) > 90_000 for b in bars)
        return time.process_time() - started

    # Processor time, the best of several: the machine may be busy with other tests.
    assert min(loaded() for _ in range(5)) < 0.3
