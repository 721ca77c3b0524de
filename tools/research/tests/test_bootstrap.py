"""The bootstrap and the reality check, compared with plain loops and simulation."""

import math
from statistics import stdev

import numpy as np
import numpy.typing as npt
import pytest
from sep_research.bootstrap import (
    block_length,
    confidence,
    counts_of,
    resampled,
    superior_ability,
)

Floats = npt.NDArray[np.float64]


def counts(days: int, draws: int = 500, seed: int = 1) -> Floats:
    sample = resampled(days, draws, block_length(days), np.random.default_rng(seed))
    return counts_of(sample)


def test_blocks_go_on_with_the_next_day_and_have_the_mean_length() -> None:
    sample = resampled(400, 200, 20.0, np.random.default_rng(1))
    follows = (sample[:, 1:] - sample[:, :-1]) % 400 == 1
    assert 1 / (1 - follows.mean()) == pytest.approx(20, rel=0.05)
    assert np.bincount(sample.ravel(), minlength=400).min() > 0
    assert counts_of(sample)[3].tolist() == [list(sample[3]).count(day) for day in range(400)]


def test_the_p_value_agrees_with_a_plain_loop() -> None:
    daily = np.random.default_rng(3).normal(0.05, 1, (40, 6))
    daily[:, 5] -= 2  # so bad that it must not count
    length = block_length(40)
    sample = resampled(40, 300, length, np.random.default_rng(4))
    columns = daily.T.tolist()
    means = [math.fsum(c) / 40 for c in columns]
    spread = [stdev(c) for c in columns]
    scores = [math.sqrt(40) * m / s for m, s in zip(means, spread, strict=True)]
    floor = -math.sqrt(2 * math.log(math.log(40)))
    better = 0
    for draw in sample.tolist():
        best = 0.0
        for column, mean, deviation, score in zip(columns, means, spread, scores, strict=True):
            drawn = math.fsum(column[day] for day in draw) / 40
            best = max(best, math.sqrt(40) * (drawn - (mean if score >= floor else 0)) / deviation)
        better += best > max(0.0, *scores)
    assert superior_ability(daily, counts_of(sample)) == better / 300


# Computed with arch 8.0.0, which the tests don't install: `SPA` of zeros of negated results
# (each by its deviation, consistent, not studentised), and `StationaryBootstrap.conf_int` of the
# first trial's sum (percentile, 90 %); 4,000 draws, seed 1, blocks of `block_length(days)`.
@pytest.mark.parametrize(
    ("seed", "days", "trials", "edge", "p_value", "interval"),
    [
        (1, 120, 10, 0.0, 0.5150, (-25.80, 7.88)),
        (2, 120, 10, 0.2, 0.0075, (16.69, 48.82)),
        (3, 250, 25, 0.15, 0.1583, (14.09, 62.73)),
        (4, 250, 5, 0.05, 0.6248, (-30.75, 28.99)),
        (5, 400, 40, 0.0, 0.2175, (-21.16, 53.59)),
    ],
)
def test_p_value_and_interval_are_those_of_an_independent_library(
    seed: int, days: int, trials: int, edge: float, p_value: float, interval: tuple[float, float]
) -> None:
    daily = np.random.default_rng(seed).normal(0, 1, (days, trials))
    daily[:, 0] += edge
    daily[:, -1] -= 1.0
    drawn = counts(days, 4000, seed=9)
    assert superior_ability(daily, drawn) == pytest.approx(p_value, abs=0.03)
    assert confidence(daily[:, 0], drawn) == pytest.approx(interval, abs=2)


def test_of_searches_over_noise_no_more_pass_than_the_level() -> None:
    """At 80 days 7 % pass, 14 of 200 on average; more than 26 would be one chance in a thousand."""
    random, drawn = np.random.default_rng(5), counts(80)
    found = [superior_ability(random.normal(0, 1, (80, 25)), drawn) for _ in range(200)]
    p_values = np.array(found, np.float64)
    assert (p_values <= 0.05).sum() <= 26
    assert 0.35 < p_values.mean() < 0.65


def test_one_trial_with_an_edge_is_seen_among_many_without() -> None:
    daily = np.random.default_rng(6).normal(0, 1, (80, 25))
    daily[:, 7] += 0.8
    p_value = superior_ability(daily, counts(80))
    assert p_value is not None
    assert p_value < 0.01


@pytest.mark.parametrize("shape", [(0, 3), (3, 3), (20, 0)])
def test_too_little_is_not_judged(shape: tuple[int, int]) -> None:
    drawn = counts(max(1, shape[0]), 10)
    assert superior_ability(np.ones(shape), drawn) is None


def test_trials_that_never_traded_say_nothing() -> None:
    assert superior_ability(np.zeros((20, 3)), counts(20, 10)) is None


def test_the_interval_is_that_of_a_normal_distribution() -> None:
    daily = np.random.default_rng(7).normal(0.1, 1, 900)
    found = confidence(daily, counts(900, 4000))
    assert found is not None
    half = 1.645 * math.sqrt(900 * float(daily.var()))
    assert found == pytest.approx((daily.sum() - half, daily.sum() + half), abs=half / 4)
    assert confidence(daily[:3], counts(3, 10)) is None
