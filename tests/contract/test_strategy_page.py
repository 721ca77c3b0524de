"""The window that docs/strategy.md works out by hand has the figures that the kernel computes."""

import re
from pathlib import Path

import numpy as np
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
