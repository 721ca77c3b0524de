"""Conditions between settings, declared beside the settings themselves.

A relation names its settings and states what must hold. A violated one stops the start on practice
and live, and is a warning on paper; one that can never work stops the start everywhere.

A relation may name a setting of another service. It is checked wherever the value can be seen: in
an environment that services share, and by ``sep-stack`` for all of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PAPER = "paper"


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A condition between settings.

    Attributes:
        names: fields, in the order of the arguments of ``holds``.
        holds: whether the values fit each other.
        sentence: what must hold, and why.
        always: whether a violation stops the start on paper too.
    """

    names: tuple[str, ...]
    holds: Callable[..., bool]
    sentence: str
    always: bool = False


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A relation that does not hold; ``owner`` is the class that declares it."""

    relation: Relation
    owner: type
    values: tuple[Any, ...]

    @property
    def text(self) -> str:
        """Every setting with its value, and what must hold."""
        pairs = zip(self.relation.names, self.values, strict=True)
        shown = ", ".join(f"{name.upper()}={_shown(name, value)}" for name, value in pairs)
        return f"{shown}: {self.relation.sentence}"


def violations(kind: type, values: Mapping[str, Any]) -> Iterator[Violation]:
    """The relations of a class and its bases that don't hold; those of unseen values are left out.

    Args:
        values: well-formed values by field.
    """
    for owner in kind.__mro__:
        for relation in vars(owner).get("relations", ()):
            if not all(name in values for name in relation.names):
                continue
            seen = tuple(values[name] for name in relation.names)
            if not relation.holds(*seen):
                yield Violation(relation=relation, owner=owner, values=seen)


def stops_the_start(violation: Violation, environment: str | None) -> bool:
    """Whether a violation is a fault and not a warning; an unknown environment counts as live."""
    return violation.relation.always or environment != PAPER


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(int(value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    # A URL may contain a password.
    return "(secret)" if name.endswith("_url") and ("@" in text or "?" in text) else text
