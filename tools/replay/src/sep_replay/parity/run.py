"""Replays a day with the knobs in force, and compares it with what was traded."""

from collections.abc import Mapping

from sep_allocator.settings import AllocatorSettings
from sep_evaluator.settings import EvaluatorSettings
from sep_guard.settings import GuardSettings
from sep_kit.settings.loading import load_settings

from sep_replay.engine import ReplaySettings
from sep_replay.parity.differences import Divergence, compare_days
from sep_replay.parity.live_day import LiveRecords
from sep_replay.parity.replayed_day import DayReplay
from sep_replay.parity.sources import Inputs


def replay_day(
    live: LiveRecords,
    inputs: Inputs,
    environ: Mapping[str, str],
    *,
    warm_up_days: int,
    open_gates: bool = False,
) -> Divergence:
    """The divergence of a day.

    Raises:
        InvalidSettingsError: the knobs can't be used.
        ValueError: there is no candle of the day.
    """
    environ = {"CANDLE_GRANULARITY": inputs.tape.granularity.value, **environ}
    settings = ReplaySettings(
        load_settings(EvaluatorSettings, environ),
        load_settings(AllocatorSettings, environ),
        load_settings(GuardSettings, environ),
        live.balance,
        params=inputs.params,
        open_gates=open_gates,
    )
    start_s, end_s = live.start_ms // 1000, live.end_ms // 1000
    if not any(len(bars.between(start_s, end_s)) for bars in inputs.tape.bars.values()):
        raise ValueError("there is no candle of the day; choose a day of which candles are stored")
    replay = DayReplay(
        inputs.tape,
        settings,
        start_s,
        end_s,
        warm_up_days=warm_up_days,
        carried=live.carried(),
    )
    replay.run()
    late_s = (
        settings.evaluator.eval_interval_sec
        + settings.allocator.alloc_interval_sec
        + settings.guard.pm_reconcile_sec
    )
    return compare_days(live.day(replay.mark), replay.day(), replay.mark, int(late_s * 1000))
