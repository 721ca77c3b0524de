"""Strategy parameters: defaults, conversions and the list of all faults."""

import math

import numpy as np
import pytest
from sep_evaluator.domain.params import StrategyParams

from .candles import golden


def test_the_defaults_are_those_of_the_golden_file() -> None:
    assert StrategyParams().as_dict() == golden("backtest_EUR_USD")["runs"][0]["params"]


def test_a_mapping_overrides_defaults_and_survives_the_round_trip() -> None:
    params = StrategyParams.from_mapping({"c_min": 0.5, "direction_lookback": 5})
    assert (params.c_min, params.direction_lookback, params.max_entropy) == (0.5, 5, 0.75)
    assert StrategyParams.from_mapping(params.as_dict()) == params


def test_whole_floats_and_numpy_numbers_are_accepted() -> None:
    params = StrategyParams.from_mapping(
        {"entry_cooldown_sec": 90.0, "direction_lookback": np.int64(7), "c_min": np.float64(0.5)}
    )
    assert params.as_dict()["entry_cooldown_sec"] == 90
    assert {type(v) for v in params.as_dict().values()} == {int, float}
    assert type(StrategyParams(reward_risk=2).reward_risk) is float


def test_every_fault_is_listed_with_name_value_and_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="c_min") as caught:
        StrategyParams.from_mapping(
            {"c_min": 1.5, "direction_lookback": 2.5, "colour": "red", "reward_risk": 0}
        )
    message = str(caught.value)
    assert "c_min is 1.5, allowed is a number from 0 to 1" in message
    assert "direction_lookback is 2.5, allowed is a whole number from 1 to 1e+06" in message
    assert "colour is 'red': unknown parameter, allowed are c_min, min_stability" in message
    assert "reward_risk is 0, allowed is a number above 0 to 1e+06" in message


@pytest.mark.parametrize("value", [True, "0.5", None, math.nan, math.inf, -0.1, [0.5], 10**400])
def test_a_value_that_is_not_a_share_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="c_min is "):
        StrategyParams.from_mapping({"c_min": value})
    with pytest.raises(ValueError, match="c_min is "):
        StrategyParams(c_min=value)  # type: ignore[arg-type]
