"""The control group of `make soak ARGS=small`: its limit, its counts, and the word without one."""

import subprocess
import sys
from pathlib import Path

import pytest
from sep_testing.processes import Usage

from bench import memory_limit
from bench.memory_limit import ControlGroup, Memory, NoControlGroupError, control_group
from bench.runner import Figure
from bench.soak_small import figures

MB = 1024**2
HOLDS = "held = bytearray(int(sys.argv[1])); print(len(held))"


def holding(group: ControlGroup, size: int) -> "subprocess.CompletedProcess[str]":
    """A process of the group that holds so many bytes."""
    program = (sys.executable, "-c", f"import sys; {HOLDS}", str(size))
    return subprocess.run((*group.inside, *program), capture_output=True, text=True, check=False)


def test_a_group_lets_its_processes_have_the_limit_and_kills_above_it() -> None:
    if len(Path("/proc/swaps").read_text().splitlines()) > 1:
        pytest.skip("SWAP is on: a process above the limit may live on in it")
    try:
        with control_group(64 * MB) as group:
            assert holding(group, 8 * MB).stdout == f"{8 * MB}\n"
            assert group.memory().killed == 0
            assert holding(group, 256 * MB).returncode != 0
            assert group.memory().killed == 1
            folder = group.folder
    except NoControlGroupError as error:
        pytest.skip(f"CONTROL GROUPS can't be made: {error}")
    assert not folder.exists()


def test_without_control_groups_the_error_says_what_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_limit, "_ROOT", tmp_path / "none")
    with pytest.raises(NoControlGroupError, match="it takes root"), control_group(MB):
        pass


def test_version_2_is_read_with_its_stalls(tmp_path: Path) -> None:
    for name, text in {
        "memory.stat": "anon 5\ninactive_file 20\nactive_file 10\npgmajfault 3\n",
        "memory.current": "100\n",
        "memory.events": "low 0\nhigh 0\nmax 4\noom 1\noom_kill 2\n",
        "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert ControlGroup(tmp_path, second=True).memory() == Memory(
        used=70, cached=30, at_limit=4, major_faults=3, stalled_s=2.5, killed=2
    )


def test_version_1_is_read_without_stalls(tmp_path: Path) -> None:
    for name, text in {
        "memory.stat": "total_inactive_file 20\ntotal_active_file 10\ntotal_pgmajfault 3\n",
        "memory.usage_in_bytes": "100\n",
        "memory.failcnt": "4\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert ControlGroup(tmp_path, second=False).memory() == Memory(
        used=70, cached=30, at_limit=4, major_faults=3, stalled_s=None, killed=2
    )


def test_the_verdict_names_each_fault() -> None:
    calm = Memory(400 * MB, 100 * MB, 0, 10, 0.0, 0)
    pressed = Memory(1000 * MB, 0, 50, 9_010, 30.0, 1)
    usage = {"guard": Usage(1, 0.0)}, {"guard": Usage(1, 6.0)}
    good = figures([400 * MB], 0, (calm, calm), usage, 0, 60.0)
    bad = figures([400 * MB, 1000 * MB], 2, (calm, pressed), usage, 1, 60.0)

    def missed(rows: list[Figure]) -> set[str]:
        return {f.name for f in rows if f.target is not None and (f.value or 0.0) > f.target}

    assert missed(good) == set()
    assert missed(bad) == {
        "memory at most",
        "processes killed for want of memory",
        "parts that ended",
        "looks at which it was not healthy",
        "time in which a process waited for memory",
        "major page faults",
    }
