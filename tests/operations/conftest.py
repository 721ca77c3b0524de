"""A running stack and an operator's shell, shared by the whole session."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Stack
from tests.operations.operator_shell import OperatorShell


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorShell]:
    """An operator's shell for a stack that runs as local processes."""
    folder = tmp_path_factory.mktemp("operations")
    stack = Stack(folder / "run")
    stack.start()
    try:
        yield OperatorShell(stack, folder / "project")
    finally:
        stack.stop()
