"""Read settings from the environment; stop with every fault listed."""

import os
import sys
from collections.abc import Mapping
from typing import ClassVar, Self, TypeVar

from pydantic import SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from sep_kit.settings import knobs

EX_CONFIG = 78
"""Exit code for a configuration fault, as in sysexits.h: a restart would not help."""

_OWN_PREFIXES = (
    "ALLOC_",
    "AUTO_",
    "CANDLE_",
    "EVAL_",
    "FRESH_",
    "GATES_BLOB_",
    "GUARD_",
    "HYSTERESIS_",
    "KILL_SWITCH",
    "MARGIN_HYST_",
    "MARKET_CALENDAR",
    "MAX_SPREAD_",
    "OANDA_",
    "PM_",
    "READ_ONLY",
    "RISK_ALLOC_",
    "SESSION_",
)
# Read by other parts of the stack; known here so that a shared environment is no fault.
_FOREIGN = {"EVALUATOR_PORT", "GATEWAY_PORT", "GUARD_PORT", "ALLOCATOR_PORT"}


class InvalidSettingsError(Exception):
    """The settings can't be used; each fault names the setting, its value, what is allowed."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class ServiceSettings(BaseSettings):
    """Base of every settings class: from the environment or from files in /run/secrets."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=False, case_sensitive=False
    )

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        # Each group of knobs tells its own; all of them are wanted, not the first.
        faults = [
            fault
            for group in type(self).__mro__
            if "contradictions" in vars(group)
            for fault in vars(group)["contradictions"](self)
        ]
        if faults:
            raise ValueError("\n  ".join(faults))
        return self


Settings = TypeVar("Settings", bound=ServiceSettings)


def load_settings(kind: type[Settings], environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a service.

    Args:
        environ: the process environment when None.

    Raises:
        InvalidSettingsError: an unknown, malformed or contradictory value; all of them.
    """
    environ = os.environ if environ is None else environ
    values = {name: environ[name.upper()] for name in kind.model_fields if name.upper() in environ}
    faults = [
        f"{name}: is no setting of this stack{_suggestion(name)}" for name in _unknown(environ)
    ]
    try:
        settings = _build(kind, values)
    except ValidationError as error:
        faults += [_describe(kind, values, e) for e in error.errors()]
    except SettingsError as error:
        faults.append(str(error))
    if faults:
        raise InvalidSettingsError(faults)
    return settings


def load_settings_or_exit(kind: type[Settings]) -> Settings:
    """The settings, or the faults on stderr and exit code 78."""
    try:
        return load_settings(kind)
    except InvalidSettingsError as error:
        print("The settings can't be used:", file=sys.stderr)
        for fault in error.faults:
            print(f"  {fault}", file=sys.stderr)
        raise SystemExit(EX_CONFIG) from None


def _build(kind: type[Settings], values: Mapping[str, str]) -> Settings:
    # Only what the caller's environment holds may count, so nothing else is read here
    # but the secrets folder, where containers find the token.
    secrets = "/run/secrets" if os.path.isdir("/run/secrets") else None  # noqa: PTH112
    return kind(_env_prefix="SEP_NEVER_READ_", _secrets_dir=secrets, **dict(values))  # type: ignore[call-arg]


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = {name.upper() for name in knobs.all_names()} | _FOREIGN
    return sorted(name for name in environ if name.startswith(_OWN_PREFIXES) and name not in known)


def _suggestion(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, [n.upper() for n in knobs.all_names()], 1)
    return f"; did you mean {close[0]}?" if close else ""


def _describe(kind: type[ServiceSettings], values: Mapping[str, str], e: ErrorDetails) -> str:
    if not e["loc"]:
        return str(e["msg"]).removeprefix("Value error, ")
    field = str(e["loc"][0])
    name = field.upper()
    if e["type"] == "missing":
        return f"{name}: is not set and has no default"
    info = kind.model_fields.get(field)
    secret = info is not None and info.annotation is SecretStr
    shown = "(secret)" if secret else repr(values.get(field, e["input"]))
    return f"{name} = {shown}: {str(e['msg']).removeprefix('Value error, ')}"
