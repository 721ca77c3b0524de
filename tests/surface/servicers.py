"""Servicers with every method of the contract, all with the same behaviour."""

from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from typing import Any

from sep_kit.grpc.server import Handler

from tests.surface.methods import MODULES


async def respond() -> None:
    """Return an empty response at once."""


class Behaviour:
    """What every method does before it returns an empty response.

    Args:
        run: replaced by tests; may raise or block.
    """

    def __init__(self) -> None:
        self.run: Callable[[], Awaitable[None]] = respond


def servicers(behaviour: Behaviour) -> list[Handler]:
    """A servicer for every service, with every method of the contract."""
    found = []
    for module in MODULES:
        for service in module.DESCRIPTOR.services_by_name.values():
            methods = {
                m.name: (streaming if m.server_streaming else unary)(behaviour, m)
                for m in service.methods
            }
            grpc_module = import_module(f"{module.__name__}_grpc")
            base = getattr(grpc_module, f"{service.name}Servicer")
            add = getattr(grpc_module, f"add_{service.name}Servicer_to_server")
            found.append(Handler(service.full_name, type(service.name, (base,), methods)(), add))
    return found


def unary(behaviour: Behaviour, method: Any) -> Any:
    async def handle(self: Any, request: Any, context: Any) -> Any:
        await behaviour.run()
        return method.output_type._concrete_class()

    return handle


def streaming(behaviour: Behaviour, method: Any) -> Any:
    async def handle(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        await behaviour.run()
        yield method.output_type._concrete_class()

    return handle
