"""The window that docs/strategy.md works out by hand has the figures that the kernel computes."""

import itertools
import math
import re
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sep_evaluator.domain.kernel import window_metrics

PAGE = (Path(__file__).parents[2] / "docs" / "strategy.md").read_text()
LOOKBACK = 6
UP, DOWN = 0.001, -0.0001
"""Steps of a rising price: a small step down is a bit of 1, a step up one of 0."""


def test_the_window_on_the_page_has_the_figures_of_the_kernel() -> None:
    (bits,) = re.findall(r"^    ([01]{64})$", PAGE, re.M)
    steps = [UP] * LOOKBACK + [DOWN if bit == "1" else UP for bit in bits]
    metrics = window_metrics(np.cumsum([1.0, *steps[1:]]))
    ends = {
        "rupture R": metrics.rupture[-1],
        "stability S": metrics.stability[-1],
        "entropy H": metrics.entropy[-1],
        "coherence C": metrics.coherence[-1],
    }
    for name, value in ends.items():
        first, letter = name.split()
        (row,) = re.findall(rf"^\| \*{first}\* {letter} .*$", PAGE, re.M)
        assert f"{value:.4f}" in row, row


def test_the_steps_of_the_worked_window_follow_from_its_bits() -> None:
    """Each figure is computed from the bits as the page describes it, without the kernel."""
    (text,) = re.findall(r"^    ([01]{64})$", PAGE, re.M)
    bits = [int(bit) for bit in text]
    nulls, flips, ruptures = (_shares(bits)[kind] for kind in ("null", "flip", "rupture"))
    entropy = _entropy(bits)
    damping = 0.5 * _entropy(bits[:20])
    terms = [(bit - bits[0]) * math.exp(-damping * k) for k, bit in enumerate(bits)]
    sums = [float(bits[0]), *itertools.accumulate(terms[1:])]
    fit = 1 / (1 + statistics.pvariance(sums))
    pattern = 0.6 * (1 - entropy) + 0.3 * (1 - ruptures) + 0.1 * (1 - flips)
    steps = PAGE.split("Worked out:")[1].split("Two *coefficients*")[0]
    for figure in (
        entropy, pattern, 2 * damping, damping, sums[1], sums[2], sums[3], sums[-1],
        statistics.pvariance(sums), fit, 0.7 * pattern + 0.3 * fit,
    ):  # fmt: skip
        assert f"{figure:.4f}" in steps, figure
    assert nulls + flips + ruptures == pytest.approx(1)
    assert abs(sums[-1]) > 2


def test_the_bracket_of_the_example_follows_from_its_window() -> None:
    """The stop's distance from sigma_eff and the last mid, and both exits from the entry."""
    text = " ".join(PAGE.split())
    sigma, price, entry, stop, target = (
        float(figure)
        for figure in re.findall(
            r"stop is 1\.5 x ([\d.]+) x 7\.746 x ([\d.]+) = 0\.00256 away.*?bid, ([\d.]+): "
            r"its stop stood at ([\d.]+), its take profit at ([\d.]+)\.",
            text,
        )[0]
    )
    distance = 1.5 * sigma * math.sqrt(60) * price
    assert stop == pytest.approx(entry + distance, abs=1e-5)
    assert target == pytest.approx(entry - 1.5 * distance, abs=1e-5)


def test_the_result_of_the_replay_is_the_sum_of_its_parts() -> None:
    rows = dict(
        re.findall(r"^\| ([a-z ,]+) \| (.+) \|$", PAGE.split("## One honest replay")[1], re.M)
    )
    moved = float(rows["from mid to mid"])
    costs = [float(cost) for cost in re.findall(r"-[\d.]+", rows["half spread, entry and exit"])]
    (result,) = re.findall(r"\*\*\+([\d.]+)\*\*", rows["result"])
    assert moved + sum(costs) == pytest.approx(float(result), abs=0.005)


def _shares(bits: list[int]) -> dict[str, float]:
    kinds = Counter(("null", "flip", "rupture")[a + b] for a, b in itertools.pairwise(bits))
    return {kind: kinds[kind] / (len(bits) - 1) for kind in ("null", "flip", "rupture")}


def _entropy(bits: list[int]) -> float:
    return -sum(q * math.log2(q) for q in _shares(bits).values() if q) / math.log2(3)


def test_the_bits_in_the_table_follow_from_its_prices() -> None:
    rows = re.findall(r"^\| (\d\d:\d\d) \| ([\d.]+) \|.*\| ?([01]?) ?\|$", PAGE, re.M)
    mids = [float(mid) for _, mid, _ in rows]
    assert len(rows) == 13
    for at, (_, _, bit) in enumerate(rows):
        if at < LOOKBACK:
            assert bit == ""
            continue
        step, trend = mids[at] - mids[at - 1], mids[at] - mids[at - LOOKBACK]
        assert bit == str(int(step * trend < 0))


def test_every_term_in_italics_stands_in_the_glossary() -> None:
    glossary = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text()
    terms = set(re.findall(r"(?<!\*)\*([a-z_][a-z_ -]+)\*(?!\*)", PAGE)) | {"Calmar ratio"}
    rows = re.findall(r"^\| (.+?) \|", glossary, re.M)
    known = {word.split(" (")[0] for row in rows for word in row.split(", ")}
    missing = {t for t in terms if t not in known and t.removesuffix("s") not in known}
    assert missing == set()
