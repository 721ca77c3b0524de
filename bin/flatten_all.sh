#!/usr/bin/env bash
# Engages the kill switch, then closes everything that the stack manages.
#   bin/flatten_all.sh --reason "leaving the desk" --dry-run
#   bin/flatten_all.sh --reason "leaving the desk"
# The same as `sep-ops flatten`; --help prints the options.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${SEP_PYTHON:-.venv/bin/python}
if [[ ! -x $python ]]; then
    echo "flatten: $python is not there: run make .venv/installed, or set SEP_PYTHON" >&2
    exit 2
fi
exec "$python" scripts/ops/flatten_all.py "$@"
