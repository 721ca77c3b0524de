"""What the evaluator is set with."""

from sep_kit.service import StackSettings
from sep_kit.settings.knobs import EvaluatorKnobs, ThresholdKnobs

from sep_evaluator.domain.evaluation import GateLimits
from sep_evaluator.domain.floors import BaseFloors


class EvaluatorSettings(EvaluatorKnobs, ThresholdKnobs, StackSettings):
    """The evaluator's settings."""

    def gate_limits(self) -> GateLimits:
        """What evaluations are held against."""
        return GateLimits(
            BaseFloors(self.eval_min_trades, self.eval_calmar_min, self.eval_pnl_min),
            self.session_exit_minutes,
            self.fresh_max_signal_age_sec,
            self.candle_granularity.seconds,
        )
