"""The settings that every service reads.

In a module that loads no server: a check of all settings needs the classes alone.
"""

from sep_fx.freshness import bar_age_limit

from sep_kit.settings.loading import ServiceSettings
from sep_kit.settings.shared.access import AccessKnobs, TlsKnobs
from sep_kit.settings.shared.connection import ConnectionKnobs
from sep_kit.settings.shared.freshness import FreshnessKnobs
from sep_kit.settings.shared.market import MarketKnobs
from sep_kit.settings.shared.safety import SafetyKnobs


class StackSettings(
    ConnectionKnobs,
    AccessKnobs,
    TlsKnobs,
    MarketKnobs,
    FreshnessKnobs,
    SafetyKnobs,
    ServiceSettings,
):
    """Settings that every service reads."""

    @property
    def max_bar_age_s(self) -> float:
        """Maximum age of candles and signals, in seconds: never less than a bar and a minute."""
        return bar_age_limit(self.fresh_max_signal_age_sec, self.candle_granularity.seconds)
