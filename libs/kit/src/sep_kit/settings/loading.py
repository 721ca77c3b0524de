"""Read settings from the environment and from secret files; stop with every fault listed."""

import difflib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Self, TypeVar, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    SecretStr,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails

from sep_kit.settings import knobs

EX_CONFIG = 78
"""Exit code for a configuration fault, as in sysexits.h: a restart would not help."""

SECRETS = Path("/run/secrets")
"""Where containers find secrets, one file a setting."""

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
# Read by other parts of the stack, or set by whoever runs containers for each of their services;
# known here so that a shared environment is no fault.
_FOREIGN = re.compile(r"(GATEWAY|EVALUATOR|ALLOCATOR|GUARD)_(PORT|SERVICE_HOST|SERVICE_PORT)(_.*)?")
# A name this close to a knob is a slip of the pen, whatever it begins with.
_SLIP = 0.85


class InvalidSettingsError(Exception):
    """The settings can't be used; each fault names the setting, its value, what is allowed."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class ServiceSettings(BaseModel):
    """Base of every settings class. It reads nothing by itself: ``load_settings`` does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if faults := [fault for judge in _judges(type(self)) for fault in judge(self)]:
            raise ValueError("; ".join(faults))
        return self


# The knobs of all services at once.
_EverySetting: type[ServiceSettings] = create_model(
    "_EverySetting", __base__=cast(Any, (*knobs.ALL_GROUPS, ServiceSettings))
)

Settings = TypeVar("Settings", bound=ServiceSettings)


def load_settings(
    kind: type[Settings], environ: Mapping[str, str] | None = None, secrets: Path = SECRETS
) -> Settings:
    """The settings of a service.

    Args:
        environ: the process environment when None.
        secrets: folder of files named as settings; the environment goes before them.

    Raises:
        InvalidSettingsError: an unknown, malformed or contradictory value; all of them.
    """
    environ = os.environ if environ is None else environ
    values = {name: environ[name.upper()] for name in kind.model_fields if name.upper() in environ}
    faults = [
        f"{name}: is no setting of this stack{_suggestion(name)}" for name in _unknown(environ)
    ]
    for name, path in _secret_files(kind, secrets):
        try:
            values.setdefault(name, path.read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            what = error.strerror if isinstance(error, OSError) else "not UTF-8"
            faults.append(f"{name.upper()}: can't be read from {path}: {what}")
    try:
        settings = kind.model_validate(values)
    except ValidationError as error:
        malformed = [e for e in error.errors() if e["loc"]]
        faults += [_describe(kind, values, environ, e) for e in malformed]
        faults += _contradictions(kind, values, {str(e["loc"][0]) for e in malformed})
    if faults:
        raise InvalidSettingsError(faults)
    return settings


def environment_faults(environ: Mapping[str, str], secrets: Path = SECRETS) -> list[str]:
    """What any service would refuse in an environment that all of them share; all of it."""
    try:
        load_settings(_EverySetting, environ, secrets)
    except InvalidSettingsError as error:
        return error.faults
    return []


def load_settings_or_exit(kind: type[Settings]) -> Settings:
    """The settings, or the faults on stderr and exit code 78."""
    try:
        return load_settings(kind)
    except InvalidSettingsError as error:
        print("The settings can't be used:", file=sys.stderr)
        for fault in error.faults:
            print(f"  {fault}", file=sys.stderr)
        raise SystemExit(EX_CONFIG) from None


def _judges(kind: type[BaseModel]) -> Iterator[Any]:
    """What each group of knobs says of its contradictions; all are wanted, not the first."""
    return (vars(g)["contradictions"] for g in kind.__mro__ if "contradictions" in vars(g))


def _contradictions(
    kind: type[ServiceSettings], values: Mapping[str, str], malformed: set[str]
) -> Iterator[str]:
    """Contradictions among the values that are not malformed themselves."""
    sound = SimpleNamespace()
    for name, info in kind.model_fields.items():
        if name in values and name not in malformed:
            annotated: Any = Annotated[info.annotation, info]
            setattr(sound, name, TypeAdapter(annotated).validate_python(values[name]))
        elif name not in malformed:
            setattr(sound, name, info.get_default(call_default_factory=True, validated_data={}))
    for judge in _judges(kind):
        try:
            yield from judge(sound)
        except AttributeError:
            # It judges a value that is malformed; that one is listed already.
            continue


def _secret_files(kind: type[ServiceSettings], folder: Path) -> Iterator[tuple[str, Path]]:
    for name in kind.model_fields:
        for path in (folder / name, folder / name.upper()):
            if path.is_file():
                yield name, path


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = {name.upper() for name in knobs.all_names()}
    return sorted(
        name
        for name in environ
        if name not in known
        and not _FOREIGN.fullmatch(name)
        and (name.startswith(_OWN_PREFIXES) or _closest(name, _SLIP))
    )


def _closest(name: str, likeness: float) -> str | None:
    known = [n.upper() for n in knobs.all_names()]
    return next(iter(difflib.get_close_matches(name, known, 1, likeness)), None)


def _suggestion(name: str) -> str:
    close = _closest(name, 0.6)
    return f"; did you mean {close}?" if close else ""


def _describe(
    kind: type[ServiceSettings],
    values: Mapping[str, str],
    environ: Mapping[str, str],
    e: ErrorDetails,
) -> str:
    field = str(e["loc"][0])
    name = field.upper()
    if e["type"] == "missing":
        return f"{name}: is not set and has no default"
    value = values[field]
    # A file's content is secret whatever it holds, and an address may carry a password.
    secret = (
        kind.model_fields[field].annotation is SecretStr
        or name not in environ
        or (field.endswith("_url") and ("@" in value or "?" in value))
    )
    shown = "(secret)" if secret else repr(value)
    return f"{name} = {shown}: {str(e['msg']).removeprefix('Value error, ')}"
