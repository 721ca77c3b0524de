"""A stack that runs here, warm, for what operators do to it."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Stack
from tests.operations.desk import Desk


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An operator's desk; the stack is warm."""
    folder = tmp_path_factory.mktemp("operations")
    stack = Stack(folder / "run")
    stack.start()
    try:
        yield Desk(stack, folder / "project")
    finally:
        stack.stop()
