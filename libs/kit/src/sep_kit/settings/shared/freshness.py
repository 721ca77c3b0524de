"""Maximum ages of data."""

from sep_kit.settings.fields import Knobs, Seconds


class FreshnessKnobs(Knobs):
    """Maximum ages of data, in seconds."""

    fresh_max_signal_age_sec: Seconds = 300
    """Maximum age of candles and signals; one bar and a minute where that is longer."""
    fresh_max_ws_age_sec: Seconds = 30
    """Maximum age of the live manifold, and of the price, of an entry."""
    gates_blob_max_age_sec: Seconds = 180
    """Maximum age of the gates blob; past it weights are held and entries refused."""
