"""Settings of the evaluator: cadence, backtest spans, gate floors and hysteresis."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, Json
from sep_fx.freshness import bar_age_limit
from sep_fx.instrument import is_instrument_name
from sep_kit.settings.fields import Finite, InstrumentName, Seconds
from sep_kit.settings.relations import Relation
from sep_kit.settings.shared.thresholds import ThresholdKnobs
from sep_kit.settings.stack import StackSettings

from sep_evaluator.domain.costs import DEFAULT, CostTable
from sep_evaluator.domain.evaluation import GateLimits
from sep_evaluator.domain.floors import BaseFloors

_DAY_S = 86_400
FIRST_WINDOW = 69
"""The kernel's, which this module does not import: all parts load the settings of all services."""


def _check_costs(costs: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    for name in costs:
        if name != DEFAULT and not is_instrument_name(name):
            raise ValueError(f"{name!r} is neither an instrument name like EUR_USD nor {DEFAULT}")
    CostTable.from_json(costs)
    return costs


class EvaluatorSettings(ThresholdKnobs, StackSettings):
    """Evaluator: cadence, spans, floors and hysteresis."""

    relations: ClassVar[tuple[Relation, ...]] = (
        Relation(
            names=("eval_span_days", "eval_long_run_days"),
            holds=lambda span, long_run: span <= long_run,
            sentence="a slice must not be longer than the long run",
            always=True,
        ),
        Relation(
            names=("eval_interval_sec", "gates_blob_max_age_sec"),
            holds=lambda interval, age: interval < age,
            sentence="gates expire before they are made anew; evaluate more often",
        ),
        Relation(
            names=("eval_manifold_interval_sec", "fresh_max_ws_age_sec"),
            holds=lambda interval, age: interval < age,
            sentence="live manifolds expire before they are made anew; make them more often",
        ),
        Relation(
            names=("eval_signal_ttl_sec", "fresh_max_signal_age_sec", "candle_granularity"),
            holds=lambda ttl, age, bar: ttl > bar_age_limit(age, bar.seconds),
            sentence="signals are deleted while they may still be used; store them longer",
        ),
        Relation(
            names=("hysteresis_pair_json", "hotband_pairs"),
            holds=lambda buffers, pairs: set(buffers) <= set(pairs),
            sentence="a buffer of an instrument that is not evaluated has no effect; correct it",
        ),
        Relation(
            names=("eval_costs_json", "hotband_pairs"),
            holds=lambda costs, pairs: set(costs) <= {DEFAULT, *pairs},
            sentence="costs of an instrument that is not evaluated have no effect; correct them",
        ),
        Relation(
            names=("candle_backfill_days", "eval_long_run_days"),
            holds=lambda backfill, long_run: backfill >= long_run,
            sentence="the long run needs all of its days as candles; fetch more days",
        ),
        Relation(
            names=("eval_long_run_days", "candle_granularity"),
            holds=lambda days, bar: days * _DAY_S / bar.seconds > FIRST_WINDOW,
            sentence=f"metrics begin after {FIRST_WINDOW} bars; use more days or shorter bars",
        ),
    )

    eval_interval_sec: Seconds = 60
    """Seconds between evaluations."""
    eval_span_days: int = Field(30, ge=1, le=400)
    """Days of the backtest slice that gates are judged on."""
    eval_long_run_days: int = Field(90, ge=1, le=400)
    """Days of the long backtest run that all slices are cut from."""
    eval_min_trades: int = Field(10, ge=1, le=1_000_000)
    """Base floor of the number of trades in the slice."""
    eval_calmar_min: float = Field(0.15, ge=0, allow_inf_nan=False)
    """Base floor of the Calmar ratio."""
    eval_pnl_min: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Base floor of the sum of returns."""
    eval_manifold_interval_sec: float = Field(5, gt=0, le=10, allow_inf_nan=False)
    """Seconds between live manifolds."""
    eval_signal_ttl_sec: Seconds = 3 * 86_400
    """Seconds after which a stored signal expires."""
    hysteresis_default: Finite = 0.10
    """Buffer around the floors, clamped to [0, 0.30]."""
    hysteresis_pair_json: Json[dict[InstrumentName, Finite]] = Field(default_factory=dict)
    """Buffers by instrument, such as `{"EUR_USD": 0.2}`."""

    eval_costs_json: Annotated[Json[dict[str, dict[str, float]]], AfterValidator(_check_costs)] = (
        Field(default_factory=dict)
    )
    """What gates pay beside the spread, such as `{"default": {"slippage_bps": 0.2}}`."""

    def costs(self) -> CostTable:
        """What the backtests of the gates pay beside the spread of the candles."""
        return CostTable.from_json(self.eval_costs_json)

    def gate_limits(self) -> GateLimits:
        """The limits that evaluations are checked against."""
        return GateLimits(
            floors=BaseFloors(
                min_trades=self.eval_min_trades, calmar=self.eval_calmar_min, pnl=self.eval_pnl_min
            ),
            exit_minutes=self.session_exit_minutes,
            max_candle_age_s=self.max_bar_age_s,
            granularity_s=self.candle_granularity.seconds,
        )
