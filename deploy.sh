#!/usr/bin/env bash
# Builds the stack, starts it, warms it up, restarts it with the live configuration and verifies it.
# The kill switch is engaged when it ends, however it ends: releasing it is a decision of its own.
set -euo pipefail

usage() {
    cat <<'USAGE'
./deploy.sh [options]

Builds the images, starts the containers with entries forbidden, waits until they are healthy, runs
the warm-up orchestrator, restarts what differs with the live configuration, and verifies gates
blob, coherence of all pairs, ranking and allocation. Leaves the kill switch engaged.
Running it again ends in the same state. A failed step brings back what ran before, and says why.

  --profile NAME     paper (brings its own broker), practice or live; paper if not given
  --env-file FILE    settings of the services; deploy/demo.env for paper, needed otherwise
  --token-file FILE  the broker's token; deploy/paper_token for paper, needed otherwise.
                     User 10001 must be able to read it, so protect its folder instead
  --observe          Prometheus and Grafana as well
  --days N           history to warm up with; CANDLE_BACKFILL_DAYS of the env file, or 90
  --wait SECONDS     longest wait for health, for each step of the warm-up and for the
                     verification; 300
  --no-build         use images that are there
  --dry-run          print the steps and change nothing
  --help             this text

Exit codes: 0 deployed and verified; 1 a step failed, and what ran before runs again; 2 the call
itself is wrong, or another deploy runs, and nothing was changed.
Settings from the environment: HTTP_PORT (8000), SEP_PYTHON (.venv/bin/python), SEP_DEPLOY_DIR
(.run/deploy: what was deployed last, and the key for calls that change something).
USAGE
}

cd "$(dirname "${BASH_SOURCE[0]}")"

profile=paper
env_file=''
token_file=''
days=''
wait_s=300
build=1
dry_run=0
observe=0

refuse() {
    printf 'deploy: %s\n' "$*" >&2
    exit 2
}

while (($#)); do
    case $1 in
        --profile | --env-file | --token-file | --days | --wait)
            (($# > 1)) || refuse "$1 needs a value"
            ;;&
        --profile) profile=$2; shift ;;
        --env-file) env_file=$2; shift ;;
        --token-file) token_file=$2; shift ;;
        --days) days=$2; shift ;;
        --wait) wait_s=$2; shift ;;
        --observe) observe=1 ;;
        --no-build) build=0 ;;
        --dry-run) dry_run=1 ;;
        --help | -h) usage; exit 0 ;;
        *) refuse "unknown option $1; --help tells what there is" ;;
    esac
    shift
done

case $profile in
    paper)
        : "${env_file:=deploy/demo.env}" "${token_file:=deploy/paper_token}"
        ;;
    practice)
        export OANDA_API_URL=https://api-fxpractice.oanda.com
        export OANDA_STREAM_URL=https://stream-fxpractice.oanda.com
        ;;
    live)
        export OANDA_API_URL=https://api-fxtrade.oanda.com
        export OANDA_STREAM_URL=https://stream-fxtrade.oanda.com
        ;;
    *) refuse "--profile is paper, practice or live, not $profile" ;;
esac
[[ $env_file ]] || refuse "--profile $profile needs --env-file"
[[ $token_file ]] || refuse "--profile $profile needs --token-file"
[[ -r $env_file ]] || refuse "can't read the env file $env_file"
[[ -r $token_file ]] || refuse "can't read the token file $token_file"
[[ $wait_s =~ ^[1-9][0-9]*$ ]] || refuse "--wait is a number of seconds, not $wait_s"

setting() { # the last value of a name in the env file
    sed -n "s/^$1=['\"]\{0,1\}\([^'\"# ]*\).*/\1/p" "$env_file" | tail -n 1
}

environment=$(setting OANDA_ENVIRONMENT)
[[ ${environment:-paper} == "$profile" ]] \
    || refuse "--profile is $profile, but OANDA_ENVIRONMENT in $env_file is ${environment:-paper}"
: "${days:=$(setting CANDLE_BACKFILL_DAYS)}"
: "${days:=90}"

python=${SEP_PYTHON:-.venv/bin/python}
state=${SEP_DEPLOY_DIR:-.run/deploy}
url=http://127.0.0.1:${HTTP_PORT:-8000}
key_file=$state/write_key
own=(gateway evaluator allocator guard stack)
profiles=()
if [[ $profile == paper ]]; then
    profiles+=(--profile paper)
    own+=(paper-broker)
fi
if ((observe)); then
    profiles+=(--profile observe)
fi

absolute() { printf '%s/%s' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"; }

SEP_ENV_FILE=$(absolute "$env_file")
OANDA_API_TOKEN_FILE=$(absolute "$token_file")
export SEP_ENV_FILE OANDA_API_TOKEN_FILE
# The same sources are the same release: deploying them twice changes nothing.
release=$(find Dockerfile compose.yaml requirements protos libs services tools -type f \
    -not -path '*/__pycache__/*' -not -path '*.egg-info/*' -not -path '*/tests/*' \
    -not -path '*/build/*' -not -path 'protos/gen/*' -print0 \
    | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-12)
export SEP_RELEASE=$release

# --- Steps ----------------------------------------------------------------------------------------

say() { printf 'deploy: %s\n' "$*" >&2; }

run() { # a command that changes something
    if ((dry_run)); then
        printf '  %s\n' "$*"
    else
        "$@"
    fi
}

compose() { docker compose ${profiles[@]+"${profiles[@]}"} "$@"; }
compose_up() { run compose up --detach --no-build --wait --wait-timeout "$wait_s"; }

current='' # the step that runs
changed=0  # whether containers were touched
before=''  # what ran before: recorded, running or nothing

step() {
    current=$1
    say "$1"
}

check_tools() {
    ((dry_run)) && return
    docker version >/dev/null 2>&1 || refuse 'no container engine answers (docker version)'
    docker compose version >/dev/null 2>&1 || refuse 'docker compose is not installed'
    if [[ ! -x $python ]]; then
        say "making .venv for the scripts"
        make .venv/installed >&2
    fi
    compose config --quiet
}

remember() {
    before=nothing
    ((dry_run)) && return
    local name image
    for name in "${own[@]}"; do
        image=$(docker inspect --format '{{.Image}}' "sep-${name/#stack/init}" 2>/dev/null) || continue
        docker tag "$image" "sep-$name:before-$release"
        before=running
    done
    if [[ $before == running && -s $state/live.yaml ]]; then
        before=recorded
        cp "$state/live.yaml" "$state/before.yaml"
    fi
    say "before: $before"
}

build_images() {
    if ((!build)); then
        local name
        for name in "${own[@]}"; do
            ((dry_run)) || docker image inspect "sep-$name:$release" >/dev/null 2>&1 \
                || refuse "there is no image sep-$name:$release; leave out --no-build"
        done
        return 0
    fi
    # One alone first: its layers serve the others, which would otherwise each build them.
    run compose build --quiet guard
    run compose build --quiet
}

engage_kill_switch() {
    if ((dry_run)); then
        printf '  POST %s/api/kill-switch {"kill_switch": true}\n' "$url"
        return
    fi
    "$python" - "$url" "$key_file" "deploy $release" <<'PYTHON'
import sys
from pathlib import Path

sys.path.insert(0, "scripts/ops")
from stack_api import ApiError, StackApi

url, key_file, reason = sys.argv[1:]
api = StackApi(url, Path(key_file))
try:
    body = {"kill_switch": True, "reason": reason, "actor": "deploy.sh"}
    print("deploy: kill switch engaged:", api.post("/api/kill-switch", body)["kill_switch"])
except ApiError as error:
    sys.exit(f"deploy: the kill switch can't be engaged: {error}")
PYTHON
}

fetch_key() { # the write key, for the scripts here and for whoever works on this machine
    ((dry_run)) && return
    local draft=$key_file.new
    (umask 077 && docker exec sep-guard cat /keys/write >"$draft")
    mv "$draft" "$key_file"
}

start_warm() {
    changed=1
    # Whatever was released before: no entry until an operator says so. Reductions go on.
    KILL_SWITCH=1 KILL_SWITCH_FORCE_ENV=1 compose_up
    fetch_key
}

warm_up() {
    run "$python" scripts/ops/warmup_orchestrator.py --url "$url" --key-file "$key_file" \
        --days "$days" --wait "$wait_s"
}

start_live() {
    local force
    force=$(setting KILL_SWITCH_FORCE_ENV)
    [[ ${force:-0} == 0 ]] || say 'KILL_SWITCH_FORCE_ENV of the env file is left out'
    KILL_SWITCH=1 KILL_SWITCH_FORCE_ENV=0 compose_up
}

verify() {
    run "$python" scripts/ops/verify_stack.py --url "$url" --key-file "$key_file" \
        --wait "$wait_s" --kill-switch engaged
}

record() {
    ((dry_run)) && return
    # With every value filled in, secrets are named by their files; for its owner only all the same.
    (umask 077 && KILL_SWITCH=1 KILL_SWITCH_FORCE_ENV=0 compose config >"$state/live.new")
    mv "$state/live.new" "$state/live.yaml"
    echo "$release" >"$state/release"
}

# --- Failure --------------------------------------------------------------------------------------

roll_back() {
    local code=$?
    trap - EXIT
    if ((code == 0)); then
        exit 0
    fi
    if ((!changed)); then
        [[ $current ]] && say "FAILED at: $current. Nothing was changed."
        exit "$((code == 2 ? 2 : 1))"
    fi
    set +e
    say "FAILED at: $current. What its containers say:"
    compose ps --all --format 'table {{.Name}}\t{{.Status}}' >&2
    compose logs --no-color --tail 5 >&2
    case $before in
        recorded)
            say 'bringing back what was deployed before'
            docker compose --file "$state/before.yaml" ${profiles[@]+"${profiles[@]}"} \
                up --detach --no-build --remove-orphans --wait --wait-timeout "$wait_s" >&2
            ;;
        running)
            say 'bringing back the images that ran before'
            SEP_RELEASE=before-$release KILL_SWITCH=1 compose \
                up --detach --no-build --wait --wait-timeout "$wait_s" >&2
            ;;
        *)
            say 'nothing ran before: stopping what was started; state stays in its volumes'
            compose down >&2
            ;;
    esac
    local back=$?
    if ((back)); then
        say "ROLLBACK FAILED ($back): the stack needs a hand"
    elif [[ $before != nothing ]]; then
        engage_kill_switch >&2
        say 'rolled back; the kill switch is engaged'
    fi
    say "the cause: step '$current' failed with $code; see above"
    exit 1
}

# --- All of it ------------------------------------------------------------------------------------

if ((!dry_run)); then
    mkdir -p "$state"
    exec 9>"$state/lock"
    flock --nonblock 9 || refuse 'another deploy runs'
fi
trap roll_back EXIT

step "checking tools and settings (release $release, $profile)"
check_tools
step 'noting what runs now'
remember
step 'building images'
build_images
step 'starting with entries forbidden, waiting for health'
start_warm
step "warming up ($days days)"
warm_up
step 'engaging the kill switch'
engage_kill_switch
step 'restarting with the live configuration'
start_live
step 'verifying'
verify
step 'recording'
record
current=''
if ((dry_run)); then
    say 'dry run: nothing was changed'
    exit 0
fi
say "release $release is live on $url; the kill switch is engaged. To release it:"
say "  curl -s $url/api/kill-switch -H \"Authorization: Bearer \$(cat $key_file)\" \\"
say "    -d '{\"kill_switch\": false, \"reason\": \"...\"}'"
