"""Generates ``models.py`` from the contract.

`make generate` writes it. The file is committed so that the client can be installed without the
stack's packages and protoc.
"""

import keyword
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from sep_contract import Access, Contract, Enum, Field, FieldKind, Message, read_contract

MODELS = Path(__file__).parent / "src" / "sep_client" / "models.py"

_HEAD = '''"""Responses of the stack. Generated from the contract by ``generate.py``: don't edit."""

# ruff: noqa: E741 - the contract calls a low price l

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class ClosedList(StrEnum):
    """Base of the contract's enums."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Base of the contract's messages."""
'''
_TYPES = {
    FieldKind.STRING: "str",
    FieldKind.DOUBLE: "float",
    FieldKind.UINT32: "int",
    FieldKind.INT32: "int",
    FieldKind.SINT32: "int",
    FieldKind.BOOL: "bool",
}
_LINE_LENGTH = 100


def models() -> str:
    """The module's text, formatted."""
    contract = read_contract()
    lines = [_HEAD]
    for name in _in_order(contract):
        if name in contract.enums:
            lines += _enum(contract.enums[name])
        else:
            lines += _message(contract.messages[name])
    ruff = str(Path(sys.executable).with_name("ruff"))
    formatter = [ruff, "format", "--stdin-filename", str(MODELS), "-"]
    formatted = subprocess.run(
        formatter, input="\n".join(lines), text=True, capture_output=True, check=True
    )
    return formatted.stdout


def _in_order(contract: Contract) -> list[str]:
    """Full names of messages and enums, each after those that it refers to."""
    order: list[str] = []

    def place(name: str) -> None:
        if name in order:
            return
        if name in contract.messages:
            for other in sorted(_referred(contract.messages[name]), key=_short):
                place(other)
        order.append(name)

    for name in sorted(_reachable(contract), key=_short):
        place(name)
    return order


def _reachable(contract: Contract) -> set[str]:
    """Everything that the responses of REST routes consist of."""
    found: set[str] = set()
    pending = [
        method.response
        for method in contract.methods.values()
        if method.route and method.access is not Access.INTERNAL and not method.response_body
    ]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            if name in contract.messages:
                pending += _referred(contract.messages[name])
    return found


def _referred(message: Message) -> set[str]:
    return {field.type_name for field in message.fields if field.type_name}


def _enum(enum: Enum) -> Iterator[str]:
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    yield f"\n\nclass {_short(enum.name)}(ClosedList):"
    yield from _docstring(enum.comment)
    yield ""
    for value in enum.values:
        yield f'    {value.name.removeprefix(prefix)} = "{value.name}"'


def _message(message: Message) -> Iterator[str]:
    yield f"\n\n@dataclass(frozen=True, slots=True)\nclass {_short(message.name)}(Answer):"
    yield from _docstring(message.comment)
    yield ""
    for field in sorted(message.fields, key=lambda field: field.has_presence):
        name = f"{field.name}_" if keyword.iskeyword(field.name) else field.name
        default = " = None" if field.has_presence else ""
        yield f"    {name}: {_type(field)}{default}"
        yield from _docstring(field.comment)


def _type(field: Field) -> str:
    name = _short(field.type_name) if field.type_name else _TYPES[field.kind]
    if field.is_map:
        return f"Mapping[str, {name}]"
    # The contract says where a decimal may be empty; it is None here.
    may_be_empty = field.decimal and "empty" in field.comment
    if field.decimal:
        name = "Decimal"
    if field.repeated:
        return f"tuple[{name}, ...]"
    return f"{name} | None" if field.has_presence or may_be_empty else name


def _docstring(text: str) -> list[str]:
    text = text.strip().replace("\\", "\\\\").replace('"""', "'''")
    if text.endswith('"'):
        text += " "
    indent = "    "
    return [indent + line for line in textwrap.wrap(f'"""{text}"""', _LINE_LENGTH - len(indent))]


def _short(full_name: str) -> str:
    return full_name.rpartition(".")[2]
