"""Env files: accepted and refused lines."""

from pathlib import Path

import pytest
from sep_local.env_file import read_env_file
from sep_local.errors import StackError


def read(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "demo.env"
    path.write_text(text)
    return read_env_file(path)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("  A=1  ", "1"),
        ("A=", ""),
        ("A=# nothing but a comment", ""),
        ("A=two words # and a comment", "two words"),
        ("A=no#comment", "no#comment"),
        ("A=b=c", "b=c"),
        ("A='with $ and # and \\'", "with $ and # and \\"),
        ('A="x y" # comment', "x y"),
        ("A={}", "{}"),
        ("A='{\"EUR_USD\": 0.2}'", '{"EUR_USD": 0.2}'),
    ],
)
def test_values(tmp_path: Path, line: str, value: str) -> None:
    assert read(tmp_path, f"# first\n\n{line}\n") == {"A": value}


@pytest.mark.parametrize(
    "line",
    [
        "A",
        "A 1",
        "1A=1",
        "export A=1",
        "A =1",
        "A= 1",
        "A='1",
        'A="1" 2',
        "A=$B",
        'A="$B"',
        "A=a'b",
    ],
)
def test_faults_name_the_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(StackError) as caught:
        read(tmp_path, f"GOOD=1\n{line}\n")
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith("line 2: ")


def test_all_faults_are_listed_without_values(tmp_path: Path) -> None:
    with pytest.raises(StackError) as caught:
        read(tmp_path, "OANDA_API_TOKEN='secret\nB\nC=1\nC=2\n")
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "line 1",
        "line 2",
        "line 4",
    ]
    assert "secret" not in str(caught.value)


def test_missing_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="can't read the env file"):
        read_env_file(tmp_path / "nothing.env")
