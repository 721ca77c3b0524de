"""The check of all settings in a process of its own.

Knowing every setting means loading every service: 30 MB (measured), which the supervisor would hold
for as long as the stack runs.
"""

import json
import subprocess
import sys
from collections.abc import Collection, Mapping

from sep_kit.death_signal import dying_with_us

from sep_local.errors import StackError


def check_apart(env: Mapping[str, str], from_file: Collection[str] = ()) -> None:
    """Check one environment against the settings of every service, as ``check_environment`` does.

    Raises:
        StackError: the settings have faults, all listed, or the check itself failed.
    """
    # Through a pipe: arguments and environment of a process can be read by others of this user.
    question = json.dumps({"env": dict(env), "from_file": list(from_file)})
    done = subprocess.run(  # noqa: S603  our own program
        dying_with_us(sys.executable, "-m", "sep_local.check_apart"),
        input=question,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError("the check of the settings failed:", done.stderr.splitlines()[-1:])
    answer = json.loads(done.stdout)
    if answer["headline"]:
        raise StackError(answer["headline"], answer["faults"])


def main() -> None:
    """Read an environment as JSON from standard input; write the faults as JSON."""
    from sep_local.check import check_environment  # it loads every service

    question = json.load(sys.stdin)
    headline = ""
    faults: tuple[str, ...] = ()
    try:
        check_environment(question["env"], question["from_file"])
    except StackError as error:
        headline, faults = error.headline, error.faults
    json.dump({"headline": headline, "faults": faults}, sys.stdout)


if __name__ == "__main__":
    main()
