"""The state of each part of the stack."""

from sep_ops.connection import CallError, StackClient


def part_states(client: StackClient) -> dict[str, str]:
    """State of each part by name, such as ``{"guard": "serving"}``; empty without an answer."""
    try:
        return {part.name: part.state.name.lower() for part in client.health().parts}
    except CallError:
        return {}
