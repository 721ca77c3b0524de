#!/usr/bin/env bash
# Closes exposure over the cap, and only that, while the kill switch is engaged.
#   bin/drain_overcap_only.sh --dry-run
#   bin/drain_overcap_only.sh --buffer-pct 5 --min-units 1000
# The same as `sep-ops drain`; --help prints the options.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${SEP_PYTHON:-.venv/bin/python}
if [[ ! -x $python ]]; then
    echo "drain: $python is not there: run make .venv/installed, or set SEP_PYTHON" >&2
    exit 2
fi
exec "$python" scripts/ops/drain_overcap.py "$@"
