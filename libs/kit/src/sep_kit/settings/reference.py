"""The reference page of settings, ``docs/settings.md``; `make generate` writes it."""

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from sep_kit.settings.registry import knob_groups, own_fields

_HEAD = """\
# Settings

Every setting is an environment variable, read once at start. If a value is unknown, malformed or
contradictory, the service does not start: it lists every fault and exits with code 78. This page is
generated from the settings classes, and a test compares the two.
"""


def render() -> str:
    """The page, in Markdown."""
    parts = [_HEAD]
    for group in knob_groups():
        parts.append(f"## {(group.__doc__ or '').splitlines()[0].rstrip('.')}\n")
        parts.append("| name | default | allowed | meaning |\n|---|---|---|---|")
        parts += [_row(name, group.model_fields[name]) for name in own_fields(group)]
        parts.append("")
    return "\n".join(parts)


def _row(name: str, info: FieldInfo) -> str:
    return f"| `{name.upper()}` | {_default(info)} | {_allowed(info)} | {info.description} |"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "must be set"
    value: Any = info.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return f"`{int(value)}`"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{value}`"


def _allowed(info: FieldInfo) -> str:
    limits = [
        f"{sign} {getattr(rule, attribute)}"
        for rule in info.metadata
        for attribute, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
        if getattr(rule, attribute, None) is not None
    ]
    return ", ".join([_kind(info), *limits])


_KINDS = {
    bool: "`0` or `1`",
    int: "whole number",
    float: "number",
    Decimal: "decimal",
    SecretStr: "secret",
    Path: "path",
    str: "text",
}


def _kind(info: FieldInfo) -> str:
    for kind in get_args(info.annotation) or (info.annotation,):
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return ", ".join(f"`{member}`" for member in kind)
        if kind in _KINDS:
            return _KINDS[kind]
    return "text"
