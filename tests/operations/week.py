"""Simulates weeks of the whole loop and records the metrics that Prometheus would scrape.

The replay engine makes the decisions and the metrics classes of the services export them. The
market closes over weekends and between sessions.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from prometheus_client import CollectorRegistry
from sep_allocator.metrics import AllocatorMetrics
from sep_allocator.settings import AllocatorSettings
from sep_evaluator.metrics import EvaluatorMetrics
from sep_evaluator.settings import EvaluatorSettings
from sep_fx.bars import Bars
from sep_fx.granularity import Granularity
from sep_fx.instants import format_seconds
from sep_fx.sessions import MarketCalendar
from sep_guard.settings import GuardSettings
from sep_kit.settings.loading import load_settings
from sep_paper_broker.market.opening_hours import OpeningHours
from sep_replay.engine import Replay, ReplaySettings
from sep_replay.tape import Tape
from sep_testing.clock import FakeClock

PAIRS = ("EUR_USD", "USD_JPY", "GBP_USD", "EUR_JPY", "USD_CAD", "NZD_USD", "AUD_USD", "USD_CHF")
STEP_S = 900
DAY_S = 86_400
# For the short history of a test. In this easy market every instrument should become eligible.
_KNOBS = {
    "EVAL_MIN_TRADES": "2",
    "CANDLE_GRANULARITY": "M15",
    "EVAL_INTERVAL_SEC": str(STEP_S),
    "EVAL_LONG_RUN_DAYS": "14",
    "EVAL_SPAN_DAYS": "7",
    "PM_RECONCILE_SEC": str(STEP_S),
}


@dataclass
class Recording:
    """Samples by series and step; a step is missing where the series does not exist."""

    steps: int = 0
    samples: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))

    def scrape(self, *registries: CollectorRegistry, **more: float) -> None:
        """Record one scrape of the registries, and further series by name."""
        for registry in registries:
            for family in registry.collect():
                for sample in family.samples:
                    if sample.name.endswith("_created"):
                        continue
                    labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
                    name = f"{sample.name}{{{labels}}}" if labels else sample.name
                    self.samples[name][self.steps] = sample.value
        for name, value in more.items():
            self.samples[name][self.steps] = value
        self.steps += 1

    def series(self) -> Iterator[dict[str, str]]:
        """Every series in the notation of promtool."""
        for name, at in sorted(self.samples.items()):
            values = [f"{at[n]!r}" if n in at else "_" for n in range(self.steps)]
            yield {"series": name, "values": " ".join("NaN" if v == "nan" else v for v in values)}


def record_weeks(start_s: int, warm_up_days: int, days: int) -> Recording:
    """Run the loop and record it, without the warm-up days."""
    settings = ReplaySettings(
        load_settings(EvaluatorSettings, _KNOBS),
        load_settings(AllocatorSettings, _KNOBS),
        load_settings(GuardSettings, _KNOBS),
        Decimal(100_000),
    )
    begin, end = start_s - warm_up_days * DAY_S, start_s + days * DAY_S
    tape = Tape(Granularity.M15, {pair: _bars(n, begin, end) for n, pair in enumerate(PAIRS)})
    replay = Replay(tape, settings)
    registries = CollectorRegistry(), CollectorRegistry()
    clock = FakeClock(format_seconds(begin))
    evaluator = EvaluatorMetrics(registries[0])
    allocator = AllocatorMetrics(registries[1], clock)
    recording = Recording()
    moments = iter(tape.moments())
    due = next(moments, None)
    for now in range(begin + STEP_S, end, STEP_S):
        clock.advance(STEP_S)
        while due is not None and due.time <= now:
            replay.take_in(due)
            due = next(moments, None)
        replay.evaluation.evaluate(now)
        replay.allocation.allocate(now, now, replay.account.held())
        replay.trading.reconcile(now)
        if now < start_s:
            continue
        calendar = replay.calendar
        evaluator.show_market({p: calendar.state(p, now).open for p in PAIRS})
        evaluator.show(replay.evaluations.values())
        cooling = {e.instrument: bool(e.cooldown) for e in replay.evaluations.values()}
        allocator.show(replay.allocation.latest, PAIRS, cooling, now * 1000)
        recording.scrape(*registries, sep_nav=float(replay.account.nav), sep_broker_connected=1.0)
    return recording


def _bars(number: int, begin: int, end: int) -> Bars:
    """Bars of an easy market: a daily sine wave with little noise, while the broker is open."""
    hours = OpeningHours(MarketCalendar.FX)
    time = np.array([t for t in range(begin, end, STEP_S) if hours.is_open("EUR_USD", t)], np.int64)
    noise = np.random.default_rng(number).normal(0.0, 1e-5, (len(time), 3))
    swing = 0.012 * np.sin(2 * np.pi * time / DAY_S + 0.3 * number)
    mid = 1.1 * np.exp(swing + noise[:, 0])
    first = np.concatenate([mid[:1], mid[:-1]])
    high = np.maximum(first, mid) * (1 + np.abs(noise[:, 1]))
    low = np.minimum(first, mid) * (1 - np.abs(noise[:, 2]))
    if PAIRS[number].endswith("JPY"):
        first, high, low, mid = first * 100, high * 100, low * 100, mid * 100
    half = mid * 2e-5
    prices = (first, high, low, mid)
    bid = [p - half for p in prices]
    ask = [p + half for p in prices]
    volume = np.full(len(time), 100, np.int64)
    return Bars(time, bid[0], bid[1], bid[2], bid[3], ask[0], ask[1], ask[2], ask[3], volume)
