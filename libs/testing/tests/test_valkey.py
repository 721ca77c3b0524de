"""The real Valkey of the tests."""

import asyncio
import sys
from pathlib import Path

from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

STARTS_ONE = """
import sys, time
from pathlib import Path
from sep_testing.valkey import ValkeyServer
server = ValkeyServer(Path(sys.argv[1]))
server.start()
print(server.port, flush=True)
time.sleep(600)
"""


async def test_a_killed_test_run_leaves_no_valkey_behind(tmp_path: Path) -> None:
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STARTS_ONE, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert run.stdout is not None
    server = ValkeyServer(tmp_path)
    server.port = int(await run.stdout.readline())
    assert server.answers()
    run.kill()
    await run.wait()
    await eventually(lambda: not server.answers())
