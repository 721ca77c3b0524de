"""The names that users and operators rely on, collected from the contract and the sources.

A name is one line of text. Where the code that defines it lives does not matter, so that moving
a module changes nothing here.
"""

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from google.rpc import code_pb2
from pydantic import BaseModel
from sep.api.v1 import rules_pb2
from sep_kit.store import keys
from sep_protos import DESCRIPTOR_SET

from tests.contract.sources import ROOT

_SOURCE_FOLDERS = ("libs", "services", "simulators", "tools")
_METRIC_KINDS = {"Counter", "Gauge", "Histogram", "Summary"}
_KNOB = re.compile(
    r"(?:PAPER|EDGE|SEP)_[A-Z_]*[A-Z]|CORS_ORIGINS|ALLOWED_HOSTS|HTTP_BIND|HTTP_PORT"
    r"|(?:VALKEY|GATEWAY|EVALUATOR|ALLOCATOR|GUARD|ENVOY_ADMIN)_PORT"
)
_REASON_ENUM = re.compile(r"(Reason|Refusal)s?$")


@cache
def public_names() -> list[str]:
    """Every public name, sorted."""
    found: set[str] = set()
    for collect in (
        contract_names,
        knobs,
        metrics,
        error_reasons,
        refusal_reasons,
        valkey_keys,
        commands,
    ):
        found |= set(collect())
    return sorted(found)


def contract_names() -> Iterator[str]:
    """Routes, methods with their rule and errors, fields with type and number, enum values."""
    contract = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes())
    messages = {
        f".{file.package}.{message.name}": message
        for file in contract.file
        for message in file.message_type
    }
    for file in contract.file:
        if not file.package.startswith("sep."):
            continue
        for enum in file.enum_type:
            for value in enum.value:
                yield f"enum {file.package}.{enum.name} {value.name} = {value.number}"
        for service in file.service:
            for method in service.method:
                name = f"{file.package}.{service.name}/{method.name}"
                yield from _method_names(name, method)
                for kind, root in (
                    ("request", method.input_type),
                    ("response", method.output_type),
                ):
                    for path in _field_paths(root, messages):
                        yield f"{kind} {name} {path}"


def _method_names(name: str, method: descriptor_pb2.MethodDescriptorProto) -> Iterator[str]:
    rule = method.options.Extensions[rules_pb2.rule]
    access = rules_pb2.Access.Name(rule.access)
    stream = " stream" if method.server_streaming else ""
    yield f"rpc {name}{stream} {access} max_age={rule.max_age_seconds}"
    for error in rule.errors:
        for reason in error.reasons:
            yield f"error {name} {code_pb2.Code.Name(error.code)} {reason}"
    http = method.options.Extensions[annotations_pb2.http]
    for binding in (http, *http.additional_bindings):
        if verb := binding.WhichOneof("pattern"):
            yield f"route {verb.upper()} {getattr(binding, verb)} {name}"


def _field_paths(
    root: str, messages: dict[str, descriptor_pb2.DescriptorProto], prefix: str = ""
) -> Iterator[str]:
    message = messages.get(root)
    for field in message.field if message else ():
        repeated = field.label == field.LABEL_REPEATED
        path = f"{prefix}{field.name}{'[]' if repeated else ''}"
        kind = field.type_name or field.Type.Name(field.type).removeprefix("TYPE_").lower()
        yield f"{path} {kind} = {field.number}"
        yield from _field_paths(field.type_name, messages, f"{path}.")


def knobs() -> Iterator[str]:
    """Environment variables: the services' with their defaults, and those of tools by name."""
    for path in _files("settings.py"):
        if path.relative_to(ROOT).parts[0] in {"services", "simulators"}:
            module = importlib.import_module(f"{path.parent.name}.settings")
            for _, kind in inspect.getmembers(module, inspect.isclass):
                if issubclass(kind, BaseModel):
                    for name, field in kind.model_fields.items():
                        default = field.get_default(call_default_factory=True)
                        yield f"knob {name.upper()} default {_shown(default)}"
    scripts = [ast.parse(path.read_text("utf-8")) for path in ROOT.glob("scripts/ops/*.py")]
    for tree in (*(tree for _, tree in _trees()), *scripts):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from (f"knob {name}" for name in _KNOB.findall(node.value))


def _shown(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def metrics() -> Iterator[str]:
    """Prometheus metrics with their kind and labels."""
    for _, tree in _trees():
        for call in _calls(tree, _METRIC_KINDS):
            if call.args and isinstance(call.args[0], ast.Constant):
                labels = next(
                    (k.value for k in call.keywords if k.arg == "labelnames"),
                    call.args[2] if len(call.args) > 2 else None,
                )
                names = ast.literal_eval(labels) if labels else ()
                yield f"metric {call.args[0].value!s} {_name(call.func)} {{{', '.join(names)}}}"


def error_reasons() -> Iterator[str]:
    """Stable reasons of error classes, and of the errors that the proxy makes."""
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                for reason in _text_attribute(node, "reason"):
                    yield f"reason {reason}"
        if path.parent.name == "envoy":
            for call in _calls(tree, {"_OwnError", "ProxyError"}):
                status, code, reason = (ast.literal_eval(a) for a in call.args[:3])
                yield f"proxy_error {status} {code_pb2.Code.Name(code)} {reason}"


def _text_attribute(node: ast.ClassDef, name: str) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            targets: list[ast.expr] = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        else:
            continue
        value = statement.value
        if any(_name(t) == name for t in targets) and isinstance(value, ast.Constant):
            yield str(value.value)


def refusal_reasons() -> Iterator[str]:
    """Reason codes of decisions: gates, holds, refusals, rejects."""
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and _REASON_ENUM.search(node.name):
                package = path.relative_to(ROOT).parts[3]
                for statement in node.body:
                    if isinstance(statement, ast.Assign):
                        yield f"decision_reason {package} {ast.literal_eval(statement.value)}"


def valkey_keys() -> Iterator[str]:
    """Keys and channels, with ``{}`` for each parameter."""
    for name, value in vars(keys).items():
        if isinstance(value, str) and name.isupper():
            yield f"key {value}"
        elif inspect.isfunction(value) and not name.startswith("_"):
            make: Callable[..., str] = value
            yield f"key {make(*['{}'] * len(inspect.signature(make).parameters))}"


def commands() -> Iterator[str]:
    """Console commands, modules that containers run, scripts and make targets, with options."""
    for project in ROOT.glob("*/*/pyproject.toml"):
        table = tomllib.loads(project.read_text("utf-8"))
        for name in table["project"].get("scripts", {}):
            yield f"command {name}"
            for source in (project.parent / "src").rglob("*.py"):
                for option in _options(ast.parse(source.read_text("utf-8"))):
                    yield f"option {name} {option}"
    for main in _files("__main__.py"):
        if main.relative_to(ROOT).parts[0] in {"services", "simulators"}:
            yield f"command python -m {main.parent.name}"
    for script in (*ROOT.glob("scripts/ops/*.py"), *ROOT.glob("bin/*.sh"), ROOT / "deploy.sh"):
        if script.suffix == ".sh" or 'if __name__ == "__main__"' in script.read_text("utf-8"):
            yield f"command {script.relative_to(ROOT)}"
        if script.suffix == ".py":
            for option in _options(ast.parse(script.read_text("utf-8"))):
                yield f"option sep-ops {option}"
    for target in re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE):
        yield f"command make {target}"


def _options(tree: ast.Module) -> Iterator[str]:
    for call in _calls(tree, {"add_argument", "add_parser"}):
        yield from (str(a.value) for a in call.args if isinstance(a, ast.Constant))


def _files(name: str) -> Iterator[Path]:
    for folder in _SOURCE_FOLDERS:
        yield from sorted(ROOT.glob(f"{folder}/*/src/*/{name}"))


@cache
def _trees() -> list[tuple[Path, ast.Module]]:
    return [
        (path, ast.parse(path.read_text("utf-8")))
        for folder in _SOURCE_FOLDERS
        for path in sorted(ROOT.glob(f"{folder}/*/src/**/*.py"))
    ]


def _calls(tree: ast.Module, names: set[str]) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in names:
            yield node


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
