"""Make ``models.py`` from the contract: ``python clients/python/generate.py``."""

import json
import keyword
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sep_protos import DESCRIPTOR_SET
from sep_stack.contract import read_contract
from sep_stack.openapi.document import openapi_document

MODELS = Path(__file__).parent / "src" / "sep_client" / "models.py"

_HEAD = '''"""What the stack answers with. Made from the contract by ``generate.py``: don't edit."""

# ruff: noqa: E741 - the contract calls a low price l

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class ClosedList(StrEnum):
    """Base of the contract's enums."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Base of everything that the stack answers with."""
'''


def models() -> str:
    """The module's text."""
    schemas = openapi_document(read_contract(DESCRIPTOR_SET), "")["components"]["schemas"]
    own = {name: s for name, s in schemas.items() if name not in {"Error", "ErrorInfo"}}
    written = "\n".join([_HEAD, *(line for name in _in_order(own) for line in _class(name, own))])
    ruff = str(Path(sys.executable).with_name("ruff"))
    formatter = [ruff, "format", "--stdin-filename", str(MODELS), "-"]
    done = subprocess.run(formatter, input=written, text=True, capture_output=True, check=True)
    return str(done.stdout)


def _in_order(schemas: dict[str, Any]) -> list[str]:
    """Names such that each comes after those it is made of."""
    order: list[str] = []

    def place(name: str) -> None:
        text = json.dumps(schemas[name])
        for other in schemas:
            if other != name and f'schemas/{other}"' in text and other not in order:
                place(other)
        if name not in order:
            order.append(name)

    for name in schemas:
        place(name)
    return order


def _class(name: str, schemas: dict[str, Any]) -> Iterator[str]:
    schema = schemas[name]
    if "enum" in schema:
        prefix = next(v for v in schema["enum"]).removesuffix("UNSPECIFIED")
        yield f"\n\nclass {name}(ClosedList):"
        yield from _docstring(schema["description"].partition(prefix)[0], "    ")
        yield ""
        yield from (f'    {value.removeprefix(prefix)} = "{value}"' for value in schema["enum"])
        return
    yield f"\n\n@dataclass(frozen=True, slots=True)\nclass {name}(Answer):"
    yield from _docstring(schema["description"], "    ")
    yield ""
    fields = schema["properties"].items()
    for field, kind in sorted(fields, key=lambda f: f[0] not in schema["required"]):
        python = f"{field}_" if keyword.iskeyword(field) else field
        optional = field not in schema["required"]
        yield f"    {python}: {_type(kind, optional=optional)}{' = None' if optional else ''}"
        yield from _docstring(kind["description"], "    ")


def _type(schema: dict[str, Any], *, optional: bool) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
    elif schema["type"] == "array":
        name = f"tuple[{_type(schema['items'], optional=False)}, ...]"
    elif schema["type"] == "object":
        name = f"Mapping[str, {_type(schema['additionalProperties'], optional=False)}]"
    elif schema.get("format") == "decimal":
        name = "Decimal"
        optional = optional or "empty" in schema.get("description", "")
    else:
        name = {"string": "str", "number": "float", "integer": "int", "boolean": "bool"}[
            schema["type"]
        ]
    return f"{name} | None" if optional else name


def _docstring(text: str, indent: str) -> list[str]:
    text = text.strip().replace("\\", "\\\\").replace('"""', "'''")
    if text.endswith('"'):
        text += " "
    lines = textwrap.wrap(f'"""{text}"""', 100 - len(indent))
    return [indent + line for line in lines]


if __name__ == "__main__":
    MODELS.write_text(models(), encoding="utf-8")
