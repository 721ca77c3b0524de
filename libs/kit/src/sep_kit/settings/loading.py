"""Loads settings from the environment and secret files; all faults are reported at once."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from sep_kit.settings import shared
from sep_kit.settings.names import default_of, misspelled_names, suggestion
from sep_kit.settings.relations import Violation, stops_the_start, violations

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
        values = {name: getattr(self, name) for name in type(self).model_fields}
        found = violations(type(self), values)
        if faults := [v.text for v in found if stops_the_start(v, _environment(values))]:
            raise ValueError("; ".join(faults))
        return self


Settings = TypeVar("Settings", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class SettingsWarning:
    """A fault that the paper broker tolerates; ``shared`` if every service of the stack has it."""

    text: str
    shared: bool


@dataclass(frozen=True, slots=True)
class Checked(Generic[Settings]):
    """Valid settings with their warnings."""

    settings: Settings
    warnings: tuple[SettingsWarning, ...]


def check_settings(
    kind: type[Settings], environ: Mapping[str, str] | None = None, secrets: Path = SECRETS
) -> Checked[Settings]:
    """The settings of a service, with warnings.

    Args:
        environ: the process environment if None.
        secrets: folder of files named like settings; the environment takes precedence.

    Raises:
        InvalidSettingsError: values are malformed or contradictory; lists all of them. On a live
            account a name that is close to a setting's is one too.
    """
    environ = os.environ if environ is None else environ
    texts = {name: environ[name.upper()] for name in kind.model_fields if name.upper() in environ}
    faults = []
    for name, path in _secret_files(kind, secrets):
        try:
            texts.setdefault(name, path.read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            what = error.strerror if isinstance(error, OSError) else "not UTF-8"
            faults.append(f"{name.upper()}: can't be read from {path}: {what}")
    settings: Settings | None = None
    malformed: list[ErrorDetails] = []
    try:
        settings = kind.model_validate(texts)
    except ValidationError as error:
        malformed = [e for e in error.errors() if e["loc"]]
        faults += [_describe(kind, texts, environ, e) for e in malformed]
    values = _well_formed(kind, texts, {str(e["loc"][0]) for e in malformed})
    environment = _environment(values)
    misspelled = [unknown_name(name) for name in misspelled_names(environ)]
    if environment is not None and environment != "live":
        warnings = [SettingsWarning(text, True) for text in misspelled]
    else:
        warnings, faults = [], [*misspelled, *faults]
    for violation in violations(kind, values | _foreign(kind, environ)):
        if stops_the_start(violation, environment):
            faults.append(violation.text)
        else:
            warnings.append(SettingsWarning(violation.text, _is_shared(violation)))
    if settings is None or faults:
        raise InvalidSettingsError(faults)
    return Checked(settings, tuple(warnings))


def load_settings(
    kind: type[Settings], environ: Mapping[str, str] | None = None, secrets: Path = SECRETS
) -> Settings:
    """The settings of a service, without the warnings of ``check_settings``.

    Raises:
        InvalidSettingsError: as ``check_settings`` does.
    """
    return check_settings(kind, environ, secrets).settings


def unknown_name(name: str) -> str:
    """The fault of a name that no setting has."""
    close = suggestion(name)
    return f"{name}: is not a setting of this stack{f'; did you mean {close}?' if close else ''}"


def check_settings_or_exit(kind: type[Settings]) -> Checked[Settings]:
    """Check the settings, or print the faults to stderr and exit with code 78."""
    try:
        return check_settings(kind)
    except InvalidSettingsError as error:
        print("The settings are invalid:", file=sys.stderr)
        for fault in error.faults:
            print(f"  {fault}", file=sys.stderr)
        raise SystemExit(EX_CONFIG) from None


def _environment(values: Mapping[str, Any]) -> str | None:
    """The kind of account; None where the settings have none or it is malformed."""
    return values.get("oanda_environment")


def _is_shared(violation: Violation) -> bool:
    return violation.owner.__module__.startswith(shared.__name__)


def _well_formed(
    kind: type[ServiceSettings], texts: Mapping[str, str], malformed: set[str]
) -> dict[str, Any]:
    """The values, defaults included, without those that have been reported already."""
    values = {}
    for name, info in kind.model_fields.items():
        if name in malformed:
            continue
        if name in texts:
            annotated: Any = Annotated[info.annotation, info]
            values[name] = TypeAdapter(annotated).validate_python(texts[name])
        elif not info.is_required():
            values[name] = info.get_default(call_default_factory=True, validated_data={})
    return values


def _foreign(kind: type[ServiceSettings], environ: Mapping[str, str]) -> dict[str, Any]:
    """Numbers of other services that relations of this one name; malformed ones are left out."""
    relations = (r for owner in kind.__mro__ for r in vars(owner).get("relations", ()))
    found = {}
    for name in {n for relation in relations for n in relation.names} - set(kind.model_fields):
        text = environ.get(name.upper(), default_of(name.upper()))
        try:
            found[name] = float(text or "")
        except ValueError:
            continue
    return found


def _secret_files(kind: type[ServiceSettings], folder: Path) -> Iterator[tuple[str, Path]]:
    for name in kind.model_fields:
        for path in (folder / name, folder / name.upper()):
            if path.is_file():
                yield name, path


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
