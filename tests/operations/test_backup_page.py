"""The page on backups works as written, on the state of a stopped stack.

The blocks that need a running one are walked by test_documents.py, all of them together on a stack
that trades by tests/e2e/test_state.py.
"""

import shutil
from pathlib import Path

import pytest
from sep_kit.store import keys
from sep_ops.state.server import EmbeddedValkey
from sep_ops.state.store import open_store

from tests.operations.backup_page import BackupPage

pytestmark = pytest.mark.timeout(600)


def test_the_commands_of_the_page_run_in_its_order(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o700)
    with EmbeddedValkey(run_dir / "valkey") as server, open_store(server.url) as client:
        client.set(keys.KILL_SWITCH, "0")
        client.set(keys.ORDER_FENCE, "42")
    page = BackupPage(tmp_path / "project", {"SEP_RUN_DIR": str(run_dir)})
    page.run("Back up", "state", "cron")
    assert len(list((tmp_path / "project" / "backups").iterdir())) == 1
    assert "good; 2 keys" in page.run("Verify", "state")
    shutil.rmtree(run_dir / "valkey")
    page.run("Restore", "state")
    page.run("Releases", "state")
    (file,) = (run_dir / "valkey" / "appendonlydir").glob("*.incr.aof")
    with file.open("ab") as out:
        out.write(b"*3\r\n$3\r\nSET\r\n$5\r\nto")
    assert "ends inside of a command" in page.run("Repair", "state")
    with EmbeddedValkey(run_dir / "valkey") as server, open_store(server.url) as client:
        assert client.get(keys.KILL_SWITCH) == b"1"
        assert client.get(keys.ORDER_FENCE) == b"42"
    assert {block.kind for block in page.left} == {"local"}
