"""Who may import whom, and who may look at the clock."""

import ast

import pytest

from tests.contract.sources import Source, packages, sources, under

# A decision is a pure function: what it knows comes in as arguments.
IMPURE = (
    "asyncio", "google", "grpc", "hiredis", "httpx", "logging", "multiprocessing",
    "prometheus_client", "random", "redis", "requests", "secrets", "sep", "sep_kit",
    "sep_testing", "socket", "starlette", "structlog", "subprocess", "threading", "time",
    "urllib", "uuid", "uvicorn", "valkey",
)  # fmt: skip
REAL_CLOCK = {
    "time.time", "time.time_ns", "time.localtime", "time.gmtime",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
}  # fmt: skip


def offences(of: list[Source], banned: set[str]) -> list[str]:
    return [
        f"{source.module}:{line} imports {name}"
        for source in of
        for name, line in source.imports()
        if any(under(name, b) for b in banned)
    ]


def test_there_is_something_to_look_at() -> None:
    assert {"sep_gateway", "sep_evaluator", "sep_allocator", "sep_guard"} <= packages("services")
    assert packages("libs") == {"sep_contract", "sep_fx", "sep_kit", "sep_testing"}


@pytest.mark.parametrize("service", sorted(packages("services")))
def test_a_service_imports_no_other_service(service: str) -> None:
    own = [s for s in sources("services") if s.package == service]
    assert offences(own, packages("services") - {service}) == []


def test_libraries_import_neither_services_nor_tools() -> None:
    assert offences(sources("libs"), packages("services") | packages("tools")) == []


def test_services_import_neither_tools_nor_what_tests_stand_on() -> None:
    assert offences(sources("services"), packages("tools") | {"sep_testing"}) == []


def test_values_know_nothing_of_what_is_built_on_them() -> None:
    """sep_fx is imported by all, and imports nobody but numpy and the standard library."""
    fx = [s for s in sources("libs") if s.package == "sep_fx"]
    assert offences(fx, {"sep_kit", "sep_testing", "sep", "grpc", "redis", "asyncio"}) == []
    kit = [s for s in sources("libs") if s.package == "sep_kit"]
    assert offences(kit, {"sep_testing"}) == []


def test_of_the_tools_only_the_replay_imports_services() -> None:
    others = [s for s in sources("tools") if s.package != "sep_replay"]
    assert offences(others, packages("services") | {"sep_replay"}) == []


def domains() -> list[Source]:
    return [s for s in sources("services") if "domain" in s.module.split(".")[1:]]


def test_every_service_has_a_domain() -> None:
    assert {s.package for s in domains()} == packages("services")


@pytest.mark.parametrize("service", sorted(packages("services")))
def test_a_domain_imports_no_input_output_no_contract_and_no_clock(service: str) -> None:
    own = [s for s in domains() if s.package == service]
    assert offences(own, set(IMPURE)) == []


@pytest.mark.parametrize("service", sorted(packages("services")))
def test_a_domain_imports_nothing_of_its_service_outside_itself(service: str) -> None:
    inside = f"{service}.domain"
    assert [
        f"{s.module}:{line} imports {name}"
        for s in domains()
        if s.package == service
        for name, line in s.imports()
        if under(name, service) and not under(name, inside)
    ] == []


# The door to the compiler keeps compiled code by a digest of its own sources.
MAY_READ = {"sep_evaluator.domain.jit"}


@pytest.mark.parametrize("service", sorted(packages("services")))
def test_a_domain_opens_no_file(service: str) -> None:
    opened = [
        f"{s.module}:{node.lineno}"
        for s in domains()
        if s.package == service and s.module not in MAY_READ
        for node in ast.walk(s.tree)
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in
        {"open", "read_text", "read_bytes", "write_text", "write_bytes", "print", "input"}
    ]  # fmt: skip
    assert opened == []


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(of: list[Source], names: set[str]) -> list[tuple[str, str]]:
    return [
        (source.module, dotted(node.func))
        for source in of
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and any(dotted(node.func) == n or dotted(node.func).endswith(f".{n}") for n in names)
    ]


def test_the_real_time_is_read_in_one_place() -> None:
    everything = [*sources("libs"), *sources("services"), *sources("tools")]
    assert calls(everything, REAL_CLOCK) == [("sep_kit.clock", "time.time_ns")]


def test_only_entry_points_make_a_real_clock() -> None:
    everything = [*sources("libs"), *sources("services"), *sources("tools")]
    makers = {module for module, _ in calls(everything, {"SystemClock"})}
    entries = {"sep_kit.service", "sep_testing.services"}
    assert {m for m in makers if not m.endswith(".__main__")} <= entries


def test_the_guard_against_blindness_sees_relative_and_hidden_imports() -> None:
    """These tests are worth what ``imports`` finds."""

    class Hidden(Source):
        @property
        def tree(self) -> ast.Module:
            text = "def f():\n  from ..adapters import store\n  import redis.asyncio as r\n"
            return ast.parse(text)

    hidden = Hidden("services/x", "sep_x.domain.rule", domains()[0].path)
    names = [name for name, _ in hidden.imports()]
    assert names == ["sep_x.adapters.store", "redis.asyncio"]
