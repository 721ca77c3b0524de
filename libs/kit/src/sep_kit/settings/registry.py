"""Finds every class that declares settings, in this package and in all installed ones.

A package named ``sep_...`` with a module ``settings`` takes part by that name alone: every class
there that inherits ``Knobs`` and declares fields is registered.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import BaseModel, create_model

from sep_kit.settings import shared
from sep_kit.settings.fields import Knobs

_PREFIX = "sep_"

Base = TypeVar("Base", bound=BaseModel)


@cache
def knob_groups() -> tuple[type[Knobs], ...]:
    """The classes that declare settings: the shared ones first, then those of each package."""
    found = [kind for module in _modules() for kind in _declared_in(module)]
    names = [name for kind in found for name in own_fields(kind)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TypeError(f"settings declared twice: {', '.join(twice)}")
    return tuple(found)


def own_fields(kind: type[BaseModel]) -> list[str]:
    """The fields that a class declares itself, without inherited ones."""
    inherited = {name for base in kind.__bases__ for name in getattr(base, "model_fields", ())}
    return [name for name in kind.model_fields if name not in inherited]


def all_settings(base: type[Base]) -> type[Base]:
    """A class with every registered setting; ``base`` comes last in its bases."""
    groups = knob_groups()
    leaves = [g for g in groups if not any(g is not o and issubclass(o, g) for o in groups)]
    # Classes of packages before shared ones, which they inherit.
    leaves.sort(key=lambda kind: kind.__module__.startswith(shared.__name__))
    bases = leaves if any(issubclass(leaf, base) for leaf in leaves) else [*leaves, base]
    return cast(type[Base], create_model("AllSettings", __base__=cast(Any, tuple(bases))))


def _modules() -> Iterator[str]:
    for info in sorted(pkgutil.iter_modules(shared.__path__), key=lambda found: found.name):
        yield f"{shared.__name__}.{info.name}"
    packages = {i.name for i in pkgutil.iter_modules() if i.ispkg and i.name.startswith(_PREFIX)}
    for package in sorted(packages - {"sep_kit"}):
        # The spec of the module itself would import the package, such as the client's with httpx.
        spec = importlib.util.find_spec(package)
        inside = pkgutil.iter_modules(spec.submodule_search_locations if spec else ())
        if any(module.name == "settings" for module in inside):
            yield f"{package}.settings"


def _declared_in(module: str) -> list[type[Knobs]]:
    return [
        kind
        for kind in vars(importlib.import_module(module)).values()
        if isinstance(kind, type)
        and issubclass(kind, Knobs)
        and kind.__module__ == module
        and own_fields(kind)
    ]
