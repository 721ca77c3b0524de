"""How much of the best result of many tries is luck.

Sources: Bailey and López de Prado, *The Sharpe Ratio Efficient Frontier* (2012) and *The Deflated
Sharpe Ratio* (2014). Sharpe ratios are per period, not annualised.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_NORMAL = NormalDist()
_EULER = 0.5772156649015329


def sharpe(returns: Floats) -> float:
    """Mean by standard deviation; 0 without any."""
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return float(returns.mean()) / deviation if deviation > 0 else 0.0


def shape(returns: Floats) -> tuple[float, float]:
    """Skewness and kurtosis (3 for a normal distribution)."""
    centred = returns - returns.mean()
    variance = float((centred**2).mean())
    if variance <= 0:
        return 0.0, 3.0
    return float((centred**3).mean()) / variance**1.5, float((centred**4).mean()) / variance**2


def probabilistic_sharpe(
    observed: float, threshold: float, periods: int, skew: float, kurtosis: float
) -> float:
    """Probability that the true Sharpe ratio is above a threshold."""
    if periods < 2:
        return 0.0
    spread = 1 - skew * observed + (kurtosis - 1) / 4 * observed**2
    # Extreme samples can make the estimate of the variance negative: then nothing is known.
    if spread <= 0:
        return 0.0
    return _NORMAL.cdf((observed - threshold) * math.sqrt((periods - 1) / spread))


def expected_best(variance: float, trials: int) -> float:
    """Expected best Sharpe ratio of trials whose true ratio is 0 and whose variance is given."""
    if trials < 2 or variance <= 0:
        return 0.0
    high = _NORMAL.inv_cdf(1 - 1 / trials)
    higher = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - _EULER) * high + _EULER * higher)


def deflated_sharpe(returns: Floats, trial_sharpes: Sequence[float]) -> float:
    """Probability that the best of the trials has a true Sharpe ratio above what luck gives.

    Args:
        returns: of the best trial, one a period.
        trial_sharpes: of every trial, the best included.
    """
    ratios = np.asarray(trial_sharpes, np.float64)
    variance = float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0
    skew, kurtosis = shape(returns)
    best = expected_best(variance, len(ratios))
    return probabilistic_sharpe(sharpe(returns), best, len(returns), skew, kurtosis)


def minimum_track_record(returns: Floats, confidence: float = 0.95) -> float:
    """Periods needed before the Sharpe ratio is above 0 with this confidence; infinite if never."""
    observed = sharpe(returns)
    if observed <= 0:
        return math.inf
    skew, kurtosis = shape(returns)
    spread = 1 - skew * observed + (kurtosis - 1) / 4 * observed**2
    return 1 + max(spread, 0.0) * (_NORMAL.inv_cdf(confidence) / observed) ** 2


def null_p_value(observed: float, null_best: Sequence[float]) -> float:
    """Share of null runs that did as well, the observed one counted among them.

    With n null runs the least value is 1 / (n + 1). Under the null hypothesis it is at most p with
    probability p.
    """
    as_good = sum(value >= observed for value in null_best)
    return (1 + as_good) / (len(null_best) + 1)
