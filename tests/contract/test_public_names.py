"""Routes, fields, knobs, metrics, reasons, keys and commands keep their names.

``python -m tests.contract.test_public_names --write`` records an intended change, which then
shows in the diff of ``public_names.txt``.
"""

import sys
from pathlib import Path

import pytest

from tests.contract.public_names import public_names

LIST = Path(__file__).with_name("public_names.txt")
KINDS = (
    "command", "decision_reason", "enum", "error", "key", "knob", "metric", "option",
    "proxy_error", "reason", "request", "response", "route", "rpc",
)  # fmt: skip


def recorded() -> list[str]:
    return LIST.read_text("utf-8").splitlines()


def test_no_public_name_is_removed() -> None:
    assert sorted(set(recorded()) - set(public_names())) == []


def test_every_new_public_name_is_recorded() -> None:
    assert sorted(set(public_names()) - set(recorded())) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_collection_finds_names_of_every_kind(kind: str) -> None:
    """A collector that a change of layout made blind would let every removal pass."""
    assert any(name.startswith(f"{kind} ") for name in public_names())


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.contract.test_public_names --write")
    LIST.write_text("\n".join([*public_names(), ""]), "utf-8")
