"""Settings of the journal: its database and its cadence."""

from pydantic import Field, SecretStr
from sep_kit.service import StackSettings
from sep_kit.settings.fields import Seconds


class JournalSettings(StackSettings):
    """Journal: database and cadence."""

    journal_db_url: SecretStr = SecretStr("sqlite:///.run/journal/journal.db")
    """Database: `sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/NAME`; never printed."""
    journal_poll_sec: Seconds = 2
    """Seconds between reads of the ledger and of the decisions."""
    journal_snapshot_sec: Seconds = 60
    """Seconds between two records of the account's value."""
    journal_page_size: int = Field(900, ge=1, le=5_000)
    """Transactions that are asked for at once while the journal catches up."""
