"""Statistics, compared with published figures, other libraries, brute force and simulation."""

import math
from itertools import combinations

import numpy as np
import pytest
from sep_research.overfitting import overfitting
from sep_research.statistics import (
    deflated_sharpe,
    expected_best,
    minimum_track_record,
    null_p_value,
    probabilistic_sharpe,
    shape,
    sharpe,
)


def test_the_deflated_sharpe_ratio_of_the_published_example() -> None:
    """Bailey and López de Prado 2014: annual ratio 2.5, 1250 days, 100 trials of variance 1/2."""
    best = expected_best(0.5 / 250, 100)
    assert best == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic_sharpe(
        2.5 / math.sqrt(250), best, 1250, skew=-3, kurtosis=10
    ) == pytest.approx(0.9004, abs=5e-5)


@pytest.mark.parametrize(("trials", "skew", "kurtosis"), [(46, -3, 10), (88, 0, 3)])
def test_the_published_example_is_significant_up_to_its_published_number_of_trials(
    trials: int, skew: float, kurtosis: float
) -> None:
    """The same article: 0.9505 at 46 trials, and at 88 if the returns had been normal."""
    found = [
        probabilistic_sharpe(
            2.5 / math.sqrt(250), expected_best(0.5 / 250, n), 1250, skew, kurtosis
        )
        for n in (trials, trials + 2)
    ]
    assert found[0] == pytest.approx(0.9505, abs=5e-5)
    assert found[1] < 0.95


@pytest.mark.parametrize(
    ("skew", "kurtosis", "published"), [(0, 3, 0.982), (-2.448, 10.164, 0.913)]
)
def test_the_probabilistic_sharpe_ratio_of_the_published_hedge_fund(
    skew: float, kurtosis: float, published: float
) -> None:
    """Bailey and López de Prado 2012: 24 months with a monthly ratio of 0.458."""
    found = probabilistic_sharpe(0.458, 0, 24, skew, kurtosis)
    assert found == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize(
    ("a_year", "skew", "kurtosis", "years"),
    [(250, 0, 3, 2.73), (52, 0, 3, 2.83), (12, 0, 3, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_the_published_track_records_are_as_long_as_they_need_to_be(
    a_year: int, skew: float, kurtosis: float, years: float
) -> None:
    """The same article: years until an annual ratio of 2 is above 1 with 95 %."""
    two, one = 2 / math.sqrt(a_year), 1 / math.sqrt(a_year)

    def known(at: float) -> bool:
        return probabilistic_sharpe(two, one, math.ceil(at * a_year), skew, kurtosis) >= 0.95

    assert not known(years - 0.01 - 1 / a_year)
    assert known(years + 0.01)


def test_mean_by_deviation_and_shape_are_those_of_other_libraries() -> None:
    import empyrical  # scipy takes two seconds in every process that collects this file
    from scipy import stats

    returns = np.random.default_rng(8).gamma(2.0, 0.01, 300) - 0.018
    assert sharpe(returns) == pytest.approx(empyrical.sharpe_ratio(returns, annualization=1))
    assert shape(returns) == pytest.approx(
        (stats.skew(returns), stats.kurtosis(returns, fisher=False))
    )


@pytest.mark.parametrize("trials", [20, 100, 500])
def test_the_expected_best_is_that_of_a_simulation(trials: int) -> None:
    random = np.random.default_rng(1)
    simulated = random.normal(0, 0.3, (4000, trials)).max(axis=1).mean()
    assert expected_best(0.09, trials) == pytest.approx(simulated, rel=0.03)


def test_the_minimum_track_record_is_where_the_probability_reaches_its_level() -> None:
    returns = np.random.default_rng(2).normal(0.1, 1, 500)
    needed = minimum_track_record(returns)
    skew, kurtosis = shape(returns)
    found = [probabilistic_sharpe(sharpe(returns), 0, n, skew, kurtosis)
             for n in (math.floor(needed), math.ceil(needed))]  # fmt: skip
    assert found[0] <= 0.95 <= found[1]
    assert minimum_track_record(-np.abs(returns)) == math.inf


def test_of_many_tries_without_an_edge_the_best_is_rarely_deflated_to_more_than_luck() -> None:
    random = np.random.default_rng(3)
    passed = 0
    for _ in range(200):
        returns = random.normal(0, 1, (250, 40))
        ratios = [sharpe(r) for r in returns.T]
        passed += deflated_sharpe(returns[:, int(np.argmax(ratios))], ratios) > 0.95
    assert passed <= 20


def test_the_p_value_counts_the_observed_run_itself() -> None:
    assert null_p_value(3.0, [0.0] * 19) == 0.05
    assert null_p_value(3.0, [0.0] * 18 + [3.0]) == 0.10
    assert null_p_value(-math.inf, [-math.inf] * 19) == 1.0


def test_overfitting_of_noise_is_as_probable_as_not() -> None:
    random = np.random.default_rng(4)
    found = [overfitting(random.normal(0, 1, (120, 20))) for _ in range(40)]
    assert 0.4 < np.mean([f.probability for f in found if f]) < 0.6


def test_one_trial_that_is_truly_better_is_no_overfitting() -> None:
    daily = np.random.default_rng(5).normal(0, 1, (120, 20))
    daily[:, 7] += 1.0
    found = overfitting(daily)
    assert found is not None
    assert (found.probability, found.loss) == (0.0, 0.0)
    assert found.splits == 12_870


def test_overfitting_agrees_with_a_plain_loop() -> None:
    daily = np.random.default_rng(6).normal(0, 1, (24, 5))
    parts = np.array_split(np.arange(24), 6)
    below = loss = 0
    for half in combinations(range(6), 3):
        days = np.concatenate([parts[i] for i in half])
        rest = np.concatenate([parts[i] for i in range(6) if i not in half])
        scores = [[float(col[d].mean() / col[d].std()) for col in daily.T] for d in (days, rest)]
        best = int(np.argmax(scores[0]))
        rank = sum(s <= scores[1][best] for s in scores[1])
        below += rank / 6 <= 0.5
        loss += scores[1][best] <= 0
    found = overfitting(daily)
    assert found is not None
    assert (found.probability, found.loss) == (below / 20, loss / 20)


@pytest.mark.parametrize(("days", "trials"), [(15, 5), (100, 1), (0, 3)])
def test_too_little_is_not_judged(days: int, trials: int) -> None:
    assert overfitting(np.zeros((days, trials))) is None
