"""The settings in force at a service, as text and without secrets."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """A setting; the texts are as in the environment, None where there is none or it is secret."""

    name: str
    value: str | None
    default: str | None
    secret: bool
    changed: bool
    description: str


def settings_in_force(settings: BaseModel) -> list[SettingInForce]:
    """Every setting of a service, by name."""
    fields = type(settings).model_fields
    return [_in_force(name, getattr(settings, name), fields[name]) for name in sorted(fields)]


def _in_force(name: str, value: Any, info: FieldInfo) -> SettingInForce:
    default: Any = None
    if not info.is_required():
        default = info.get_default(call_default_factory=True, validated_data={})
    secret = _is_secret(value) or _is_secret(default)
    return SettingInForce(
        name=name.upper(),
        value=None if secret else _text(value),
        default=None if secret else _text(default),
        secret=secret,
        changed=value != default,
        description=info.description or "",
    )


def _is_secret(value: Any) -> bool:
    """Whether a value is of a secret type, or an address that contains a password or a token."""
    if isinstance(value, SecretStr):
        return True
    if not isinstance(value, str) or "://" not in value:
        return False
    try:
        address = urlsplit(value)
    except ValueError:
        return True
    return "@" in value or bool(address.query or address.fragment)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return str(value)
