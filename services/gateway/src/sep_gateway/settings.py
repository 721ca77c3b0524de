"""What the gateway reads from the environment."""

from sep_fx.granularity import Granularity
from sep_kit.service import StackSettings
from sep_kit.settings.knobs import BrokerKnobs


class GatewaySettings(StackSettings, BrokerKnobs):
    """The stack's settings and how to reach the broker."""

    def poll_seconds(self) -> float:
        """How often to ask for new candles."""
        return self.candle_poll_sec or default_poll_seconds(self.candle_granularity)

    def audit_seconds(self) -> float:
        """How often to go over a page of known history again."""
        return self.poll_seconds() * 6


def default_poll_seconds(granularity: Granularity) -> float:
    """Five times a bar, at least every five seconds: 1 s for S5, 5 s from S30 on."""
    return min(5.0, granularity.seconds / 5)
