"""A running stack and an operator's shell, shared by the suite."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Stack
from tests.operations.operator_shell import OperatorShell


# Not of the session: it would run, and cost the other tests time, until the last test ends.
@pytest.fixture(scope="package")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorShell]:
    """An operator's shell for a stack that runs as local processes."""
    folder = tmp_path_factory.mktemp("operations")
    stack = Stack(folder / "run")
    stack.start()
    try:
        yield OperatorShell(stack, folder / "project")
    finally:
        stack.stop()
