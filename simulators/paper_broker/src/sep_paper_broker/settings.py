"""Settings of the paper broker, from the command line and the environment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

from sep_fx.sessions import MarketCalendar

from sep_paper_broker.account.book import AccountProfile


class SettingsError(ValueError):
    """Invalid settings; ``faults`` lists each with its name, value and what is allowed."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The paper broker's settings.

    ``admin`` serves /admin/faults, on ``admin_port`` if that is given.
    ``balance`` is in ``home_currency``. ``hedging`` and ``mt4_account`` choose the kind of account.
    ``heartbeat_seconds`` and ``poll_seconds`` are real time between heartbeats and between updates
    of a stream; only tests change them.
    """

    host: str = "127.0.0.1"
    port: int = 0
    admin: bool = False
    admin_port: int | None = None
    account: str = "101-001-0000001-001"
    token: str = field(default="paper", repr=False)
    seed: int = 7
    balance: Decimal = Decimal(100_000)
    home_currency: str = "USD"
    calendar: MarketCalendar = MarketCalendar.FX
    state: Path | None = None
    candles_dir: Path | None = None
    hedging: bool = False
    mt4_account: int | None = None
    heartbeat_seconds: float = 5.0
    poll_seconds: float = 0.25


def read_settings(options: Mapping[str, str | None], environment: Mapping[str, str]) -> Settings:
    """Settings from command line options, else the environment, else the defaults.

    Raises:
        SettingsError: one or more values are invalid.
    """
    faults: list[str] = []
    values: dict[str, object] = {}
    for name, source in _SOURCES.items():
        option = source.option or name
        text, where = options.get(option), f"--{option.replace('_', '-')}"
        if text is None:
            text, where = environment.get(source.variable), source.variable
        if not text:
            continue
        try:
            values[name] = source.parse(text)
        except ValueError as error:
            faults.append(f"{where} is {text!r}, expected {error}")
    if faults:
        raise SettingsError(faults)
    return Settings(**values)  # type: ignore[arg-type]  # each parsed to its own type


def _whole(text: str, low: int, high: int) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ValueError(f"a whole number from {low} to {high}")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("0 or 1")
    return text == "1"


def _balance(text: str) -> Decimal:
    try:
        balance = Decimal(text)
    except InvalidOperation:
        balance = Decimal("NaN")
    if not balance.is_finite() or not 0 < balance <= 10**12:
        raise ValueError("an amount above 0, at most 1000000000000")
    return balance


def _account(text: str) -> str:
    try:
        _ = AccountProfile(text, "USD", 0).number_parts
    except ValueError:
        raise ValueError("an id like 101-001-0000001-001") from None
    return text


def _calendar(text: str) -> MarketCalendar:
    try:
        return MarketCalendar(text)
    except ValueError:
        raise ValueError("fx or 24x7") from None


def _directory(text: str) -> Path:
    if not Path(text).is_dir():
        raise ValueError("an existing directory")
    return Path(text)


def _new_file(text: str) -> Path:
    if not Path(text).absolute().parent.is_dir():
        raise ValueError("a file in an existing directory")
    return Path(text)


@dataclass(frozen=True, slots=True)
class _Source:
    """The source of a setting. ``parse`` raises ValueError with a text of what is allowed."""

    variable: str
    parse: Callable[[str], object] = str
    option: str | None = None


_SOURCES = {
    "host": _Source("PAPER_HOST"),
    "port": _Source("PAPER_PORT", lambda text: _whole(text, 0, 65_535)),
    "admin": _Source("PAPER_ADMIN", _flag),
    "admin_port": _Source("PAPER_ADMIN_PORT", lambda text: _whole(text, 0, 65_535)),
    "account": _Source("OANDA_ACCOUNT_ID", _account),
    "token": _Source("OANDA_API_TOKEN"),
    "seed": _Source("PAPER_SEED", lambda text: _whole(text, 0, 2**63 - 1)),
    "balance": _Source("PAPER_BALANCE", _balance),
    "calendar": _Source("MARKET_CALENDAR", _calendar, option="market_calendar"),
    "state": _Source("PAPER_STATE", _new_file),
    "hedging": _Source("PAPER_HEDGING", _flag),
    "mt4_account": _Source("PAPER_MT4_ACCOUNT", lambda text: _whole(text, 1, 2**31 - 1)),
    "candles_dir": _Source("PAPER_CANDLES_DIR", _directory),
}
