"""Lua scripts that Envoy runs, each in a file of its own."""

from importlib.resources import files


def lua_source(name: str) -> str:
    """The source of a script, by its name without ``.lua``."""
    return (files(__name__) / f"{name}.lua").read_text("utf-8")
