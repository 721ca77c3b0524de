"""Several knob settings in one pass: a tape is read once, and each setting is played on it.

A setting is named after what it sets, and plays exactly as it would alone.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

MOST = 256
_UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]+")


@dataclass(frozen=True, slots=True)
class Variant:
    """A setting of knobs; ``name`` is that of its folder, empty where there is only one."""

    name: str
    knobs: Mapping[str, str]


def grid_of(given: Sequence[tuple[str, str]]) -> list[Variant]:
    """Every combination of the values of knobs that are given several times.

    Raises:
        ValueError: more than 256, or two that would have one name.
    """
    values: dict[str, list[str]] = {}
    for name, value in given:
        values.setdefault(name, []).append(value)
    values = {name: list(dict.fromkeys(found)) for name, found in values.items()}
    several = [name for name, found in values.items() if len(found) > 1]
    variants = []
    for chosen in product(*values.values()):
        knobs = dict(zip(values, chosen, strict=True))
        variants.append(Variant(_folder({n: knobs[n] for n in several}), knobs))
    return _checked(variants)


def read_variants(path: Path, given: Sequence[tuple[str, str]]) -> list[Variant]:
    """The settings of a file: a JSON object of knobs by name; each is added to those given.

    Raises:
        OSError: it can't be read.
        ValueError: it is no such object, or its names can't be folders.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{path} is not a JSON object of knobs by the name of the variant")
    variants = []
    for name, knobs in found.items():
        if not isinstance(knobs, dict):
            raise ValueError(f"{path}: {name} is not an object of knobs")
        if not name or _UNSAFE.search(name) or name.startswith("."):
            raise ValueError(f"{path}: {name!r} can't be a folder; use letters, digits and ._=+-")
        texts = {knob: _text(value) for knob, value in knobs.items()}
        variants.append(Variant(name, {**dict(given), **texts}))
    return _checked(variants)


def _text(value: object) -> str:
    """A knob as the environment would have it."""
    if isinstance(value, bool):
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value)


def _folder(knobs: Mapping[str, str]) -> str:
    return "+".join(f"{name}={_UNSAFE.sub('-', value)}" for name, value in knobs.items())


def _checked(variants: list[Variant]) -> list[Variant]:
    if len(variants) > MOST:
        raise ValueError(f"{len(variants)} settings, allowed are up to {MOST}")
    names = [variant.name for variant in variants]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two settings are named {', '.join(twice)}: use --variants FILE")
    return variants
