"""Settings of the gateway: the broker's URLs, account and token, and fetching of candles."""

import re
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr
from sep_fx.freshness import bar_age_limit
from sep_fx.granularity import Granularity
from sep_kit.settings.broker_hosts import (
    environments_of_account,
    environments_of_host,
    is_encrypted_where_needed,
)
from sep_kit.settings.relations import Relation
from sep_kit.settings.shared.safety import HaltKnobs
from sep_kit.settings.stack import StackSettings

_HEARTBEAT_S = 5
"""The broker sends a heartbeat on every stream in this interval."""
_GUARD_WAITS_S = 15
"""The guard's deadline of a call that sends an order."""


def _check_token(token: SecretStr) -> SecretStr:
    # An HTTP client refuses other characters only when it sends the request, and its error shows
    # the whole header.
    if not re.fullmatch(r"[!-~]+", token.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces, and not empty")
    return token


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        rest = url.split(parts.netloc, 1)[1] if parts.netloc else url
        raise ValueError(
            f"must be the host alone, without {rest!r}: the gateway adds the paths, /v3 included"
        )
    return url


_BrokerUrl = Annotated[str, AfterValidator(_check_url)]


class GatewaySettings(HaltKnobs, StackSettings):
    """Gateway: the broker and its candles."""

    relations: ClassVar[tuple[Relation, ...]] = (
        *(
            Relation(
                names=("oanda_environment", url),
                holds=lambda environment, url: environment in environments_of_host(url),
                sentence="the host serves another environment",
                always=True,
            )
            for url in ("oanda_api_url", "oanda_stream_url")
        ),
        *(
            Relation(
                names=("oanda_environment", url),
                holds=is_encrypted_where_needed,
                sentence="live accounts and the broker's own hosts need https",
                always=True,
            )
            for url in ("oanda_api_url", "oanda_stream_url")
        ),
        Relation(
            names=("oanda_api_url", "oanda_stream_url"),
            holds=lambda api, stream: bool(
                environments_of_host(api) & environments_of_host(stream)
            ),
            sentence="both must be hosts of the same environment",
            always=True,
        ),
        Relation(
            names=("oanda_environment", "oanda_account_id"),
            holds=lambda environment, account: environment in environments_of_account(account),
            sentence="accounts 101-... are practice (or paper), accounts 001-... are live",
            always=True,
        ),
        Relation(
            names=("oanda_stream_silence_sec",),
            holds=lambda silence: silence > _HEARTBEAT_S,
            sentence=f"heartbeats come every {_HEARTBEAT_S} s, so a shorter silence is normal",
        ),
        Relation(
            names=("oanda_timeout_sec",),
            holds=lambda timeout: timeout < _GUARD_WAITS_S,
            sentence=f"the guard waits {_GUARD_WAITS_S} s for an order, so its outcome is unknown "
            "before the broker has had its time",
        ),
        Relation(
            names=("order_max_age_sec",),
            holds=lambda age: age >= 1,
            sentence="an entry is on its way for fractions of a second; allow at least 1",
        ),
        Relation(
            names=("candle_poll_sec", "candle_granularity"),
            holds=lambda poll, bar: poll is None or poll <= bar.seconds,
            sentence="candles must be polled at least once a bar",
        ),
        Relation(
            names=("candle_poll_sec", "candle_granularity", "fresh_max_signal_age_sec"),
            holds=lambda poll, bar, age: (
                poll is None or bar.seconds + poll <= bar_age_limit(age, bar.seconds)
            ),
            sentence="a candle may grow too old before the next is fetched; poll more often",
        ),
    )

    oanda_api_url: _BrokerUrl = Field("http://127.0.0.1:18080", pattern=r"^https?://")
    """URL of the broker's REST API, without a path."""
    oanda_stream_url: _BrokerUrl = Field("http://127.0.0.1:18080", pattern=r"^https?://")
    """URL of the broker's streams, without a path."""
    oanda_api_token: Annotated[SecretStr, AfterValidator(_check_token)]
    """The token; never logged. Also read from the file /run/secrets/oanda_api_token."""
    oanda_account_id: str = Field(
        "101-001-0000001-001", pattern=r"^[0-9]{3}-[0-9]{3}-[0-9]+-[0-9]{3}$"
    )
    """Id of the account."""
    oanda_timeout_sec: float = Field(5, gt=0, le=60, allow_inf_nan=False)
    """Timeout of a request to the broker, in seconds."""
    oanda_stream_silence_sec: float = Field(12, gt=0, le=60, allow_inf_nan=False)
    """Seconds without data after which a stream is reconnected; heartbeats come every 5 s."""
    order_max_age_sec: float = Field(10, gt=0, le=60, allow_inf_nan=False)
    """Seconds after its decision in which an entry may be sent; age never stops a reduction."""
    candle_poll_sec: float | None = Field(None, gt=0, le=3600, allow_inf_nan=False)
    """Seconds between polls for candles; derived from the granularity when unset."""
    candle_backfill_days: float = Field(90, gt=0, le=400, allow_inf_nan=False)
    """Days of history that are fetched at first start."""

    def what_to_check(self) -> str:
        """The settings behind a broker that denies access, with their values, the token hidden."""
        return (
            f"OANDA_API_TOKEN (is it of this environment, and not revoked?), OANDA_ACCOUNT_ID "
            f"({self.oanda_account_id}) and OANDA_ENVIRONMENT ({self.oanda_environment.value}, "
            f"with OANDA_API_URL {self.oanda_api_url})"
        )

    def poll_seconds(self) -> float:
        """Seconds between polls for new candles."""
        return self.candle_poll_sec or default_poll_seconds(self.candle_granularity)

    def audit_seconds(self) -> float:
        """Seconds between checks of a page of stored history."""
        return self.poll_seconds() * 6


def default_poll_seconds(granularity: Granularity) -> float:
    """Five polls per bar, at most every five seconds: 1 s for S5, 5 s from S30 on."""
    return min(5.0, granularity.seconds / 5)
