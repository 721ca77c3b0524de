"""Loads settings from the environment and secret files; all faults are reported at once."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from sep_kit.settings.names import suggestion, unknown_names
from sep_kit.settings.registry import all_settings

EX_CONFIG = 78
"""Exit code for invalid settings, as in sysexits.h: a restart would not help."""

SECRETS = Path("/run/secrets")
"""Folder of secrets in containers, one file per setting."""


class InvalidSettingsError(Exception):
    """The settings are invalid. Each fault names the setting, its value and what is allowed."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class ServiceSettings(BaseModel):
    """Base of every settings class; ``load_settings`` creates instances."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if faults := [fault for check in _checks(type(self)) for fault in check(self)]:
            raise ValueError("; ".join(faults))
        return self


Settings = TypeVar("Settings", bound=ServiceSettings)


def load_settings(
    kind: type[Settings], environ: Mapping[str, str] | None = None, secrets: Path = SECRETS
) -> Settings:
    """The settings of a service.

    Args:
        environ: the process environment if None.
        secrets: folder of files named like settings; the environment takes precedence.

    Raises:
        InvalidSettingsError: values are unknown, malformed or contradictory; lists all of them.
    """
    environ = os.environ if environ is None else environ
    values = {name: environ[name.upper()] for name in kind.model_fields if name.upper() in environ}
    faults = [_unknown(name) for name in unknown_names(environ)]
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
    """Every fault that any service would report for an environment that all of them share."""
    try:
        load_settings(all_settings(ServiceSettings), environ, secrets)
    except InvalidSettingsError as error:
        return error.faults
    return []


def load_settings_or_exit(kind: type[Settings]) -> Settings:
    """Load the settings, or print the faults to stderr and exit with code 78."""
    try:
        return load_settings(kind)
    except InvalidSettingsError as error:
        print("The settings are invalid:", file=sys.stderr)
        for fault in error.faults:
            print(f"  {fault}", file=sys.stderr)
        raise SystemExit(EX_CONFIG) from None


def _checks(kind: type[BaseModel]) -> Iterator[Any]:
    """The ``contradictions`` method of every class in the hierarchy, not only the most derived."""
    return (vars(g)["contradictions"] for g in kind.__mro__ if "contradictions" in vars(g))


def _contradictions(
    kind: type[ServiceSettings], values: Mapping[str, str], malformed: set[str]
) -> Iterator[str]:
    """Contradictions among the well-formed values."""
    valid = SimpleNamespace()
    for name, info in kind.model_fields.items():
        if name in values and name not in malformed:
            annotated: Any = Annotated[info.annotation, info]
            setattr(valid, name, TypeAdapter(annotated).validate_python(values[name]))
        elif name not in malformed:
            setattr(valid, name, info.get_default(call_default_factory=True, validated_data={}))
    for check in _checks(kind):
        try:
            yield from check(valid)
        except AttributeError:
            # It needs a malformed value, which has been reported already.
            continue


def _secret_files(kind: type[ServiceSettings], folder: Path) -> Iterator[tuple[str, Path]]:
    for name in kind.model_fields:
        for path in (folder / name, folder / name.upper()):
            if path.is_file():
                yield name, path


def _unknown(name: str) -> str:
    close = suggestion(name)
    return f"{name}: is not a setting of this stack{f'; did you mean {close}?' if close else ''}"


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
    # The content of a file is always secret, and a URL may contain a password.
    secret = (
        kind.model_fields[field].annotation is SecretStr
        or name not in environ
        or (field.endswith("_url") and ("@" in value or "?" in value))
    )
    shown = "(secret)" if secret else repr(value)
    return f"{name} = {shown}: {str(e['msg']).removeprefix('Value error, ')}"
