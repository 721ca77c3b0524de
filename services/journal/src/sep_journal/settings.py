"""Settings of the journal: its database, its cadence, and notifications."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, Json, SecretStr
from sep_kit.settings.fields import Knobs, Seconds
from sep_kit.settings.stack import StackSettings

from sep_journal.domain.delivery import DeliveryRules, QuietHours
from sep_journal.domain.notifications import Kind, Level


def _check_hours(hours: dict[Kind, str]) -> dict[Kind, str]:
    for text in hours.values():
        QuietHours.parse(text)
    return hours


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{name!r} is not a time zone like Europe/Berlin") from error
    return name


class NotificationKnobs(Knobs):
    """Notifications: where to, what, and when."""

    notify_urls: SecretStr = SecretStr("")
    """Apprise URLs, separated by spaces, or a file of this name in /run/secrets; never printed."""
    notify_urls_file: Path | None = None
    """File of Apprise URLs, one a line; read again when it changes."""
    notify_levels_json: Json[dict[Kind, Level]] = Field(default_factory=dict)
    """Levels by kind, such as `{"fill": "off"}`: `off`, `digest`, `info`, `warning`, `critical`."""
    notify_quiet_json: Annotated[Json[dict[Kind, str]], AfterValidator(_check_hours)] = Field(
        default_factory=dict
    )
    """Quiet hours by kind, such as `{"fill": "22:00-07:00"}`; what is critical ignores them."""
    notify_time_zone: Annotated[str, AfterValidator(_check_zone)] = "America/New_York"
    """Time zone of the quiet hours."""
    notify_poll_sec: Seconds = 5
    """Seconds between attempts to deliver."""
    notify_heartbeat_url: SecretStr = SecretStr("")
    """URL that is fetched while the journal works, so that an outside watcher can miss it."""
    notify_heartbeat_sec: Seconds = 60
    """Seconds between two heartbeats."""

    def delivery_rules(self) -> DeliveryRules:
        """Levels and quiet hours."""
        return DeliveryRules(
            levels=self.notify_levels_json,
            quiet={kind: QuietHours.parse(t) for kind, t in self.notify_quiet_json.items()},
            zone=ZoneInfo(self.notify_time_zone),
        )


class JournalSettings(NotificationKnobs, StackSettings):
    """Journal: database and cadence."""

    journal_db_url: SecretStr = SecretStr("sqlite:///.run/journal/journal.db")
    """Database: `sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/NAME`; never printed."""
    journal_poll_sec: Seconds = 2
    """Seconds between reads of the ledger and of the decisions."""
    journal_snapshot_sec: Seconds = 60
    """Seconds between two records of the account's value."""
    journal_replay_program: str = ""
    """Program that compares each day with its replay, such as `sep-replay`; empty: none."""
    journal_divergence_tolerance: Decimal = Field(Decimal(100), ge=0, allow_inf_nan=False)
    """Cash of one cause a day, in home currency, past which an alert fires."""
    journal_page_size: int = Field(900, ge=1, le=5_000)
    """Transactions that are asked for at once while the journal catches up."""
