#!/usr/bin/env bash
# Builds the stack, starts it, warms it up, restarts it with the live configuration and verifies it.
# The kill switch is engaged when it ends, however it ends: releasing it is a decision of its own.
set -euo pipefail

usage() {
    cat <<'USAGE'
./deploy.sh [options]

Builds the images, engages the kill switch of what runs, starts the containers with entries
forbidden, waits until they are healthy, runs the warm-up orchestrator, restarts what differs with
the live configuration, and verifies gates blob, coherence of all pairs, ranking and allocation.
Leaves the kill switch engaged. Running it again ends in the same state. A failed step, or Ctrl-C,
brings back what ran before, and says why.

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

Exit codes: 0 deployed and verified; 1 a step failed or was stopped, and what ran before runs again;
2 the call itself is wrong, or another deploy runs, and nothing was changed.
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

say() { printf 'deploy: %s\n' "$*" >&2; }

refuse() { # before anything was changed
    trap - EXIT
    say "$*"
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
        # A URL left over in a shell must not turn a demo into orders at a real broker.
        unset OANDA_API_URL OANDA_STREAM_URL
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
[[ $days =~ ^([1-9][0-9]*)?$ ]] || refuse "--days is a number of days, not $days"

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
# Candles, gates and orders of one broker are worth nothing, and worse, beside another.
broker="$profile $(setting OANDA_ACCOUNT_ID)"
own=(gateway evaluator allocator guard stack)
compose=(docker compose)
if [[ $profile == paper ]]; then
    compose+=(--profile paper)
    own+=(paper-broker)
fi
if ((observe)); then
    compose+=(--profile observe)
fi

absolute() { printf '%s/%s' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"; }

SEP_ENV_FILE=$(absolute "$env_file")
OANDA_API_TOKEN_FILE=$(absolute "$token_file")
export SEP_ENV_FILE OANDA_API_TOKEN_FILE
# The same sources are the same release: deploying them twice changes nothing.
release=$(find Dockerfile compose.yaml requirements protos libs services simulators tools -type f \
    -not -path '*/__pycache__/*' -not -path '*.egg-info/*' -not -path '*/tests/*' \
    -not -path '*/build/*' -not -path 'protos/gen/*' -print0 \
    | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-12)
export SEP_RELEASE=$release
# Mounted files are read at start: Prometheus starts again when they differ.
SEP_RULES=$(cat deploy/prometheus/*.yaml | sha256sum | cut -c 1-12)
export SEP_RULES

# --- Steps ----------------------------------------------------------------------------------------

run() { # a command that changes something
    if ((dry_run)); then
        printf '  %s\n' "$*"
    else
        "$@"
    fi
}

compose_up() { # the kill switch's seed, and whether it overrides what is stored
    run env KILL_SWITCH=1 KILL_SWITCH_FORCE_ENV="$1" "${compose[@]}" \
        up --detach --no-build --wait --wait-timeout "$wait_s"
}

current='' # the step that runs
changed=0  # whether anything was touched
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
    "${compose[@]}" config --quiet
    if [[ -s $state/broker && $(<"$state/broker") != "$broker" ]] \
        && docker volume inspect sep_valkey >/dev/null 2>&1; then
        refuse "the volumes hold the state of '$(<"$state/broker")', not of '$broker'. To begin anew:" \
            "docker compose --profile '*' down && docker volume rm sep_valkey"
    fi
}

remember() { # what runs, by its images: a tag may mean another one after the build
    before=nothing
    ((dry_run)) && return
    local name image
    for name in gateway evaluator allocator guard; do
        [[ $(docker inspect --format '{{.State.Status}}' "sep-$name" 2>/dev/null) \
            =~ ^(running|restarting|paused)$ ]] && before=running
    done
    [[ $before == running ]] || return 0
    for name in "${own[@]}"; do
        image=$(docker inspect --format '{{.Image}}' "sep-${name/#stack/init}" 2>/dev/null) || continue
        docker tag "$image" "sep-$name:before"
    done
    # Containers that something else started are not what is recorded.
    if [[ -s $state/live.yaml && -s $state/release \
        && $(docker inspect --format '{{.Config.Image}}' sep-guard) == "sep-guard:$(<"$state/release")" ]]; then
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
    run "${compose[@]}" build --quiet guard
    run "${compose[@]}" build --quiet
}

fetch_key() { # the write key, for the scripts here and for whoever works on this machine
    ((dry_run)) && return
    local draft=$key_file.new
    (umask 077 && docker exec sep-guard cat /keys/write >"$draft") && mv "$draft" "$key_file"
}

engage_kill_switch() {
    run "$python" scripts/ops/kill_switch.py engage --reason "deploy $release" \
        --url "$url" --key-file "$key_file"
}

start_warm() {
    changed=1
    # The old guard must not open anything while the others are replaced under it. A stack that
    # does not answer is no reason to stop: its guard is replaced, and engages the switch itself.
    if [[ $before != nothing ]] && ! { fetch_key && engage_kill_switch; }; then
        say 'the kill switch of what runs can not be engaged; going on to replace it'
    fi
    # Whatever was released before: no entry until an operator says so. Reductions go on.
    compose_up 1
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
    compose_up 0
}

verify() {
    run "$python" scripts/ops/verify_stack.py --url "$url" --key-file "$key_file" \
        --wait "$wait_s" --kill-switch engaged --margin any
}

record() {
    ((dry_run)) && return
    # With every value filled in, secrets are named by their files; for its owner only all the same.
    (umask 077 && KILL_SWITCH=1 KILL_SWITCH_FORCE_ENV=0 "${compose[@]}" config >"$state/live.new")
    mv "$state/live.new" "$state/live.yaml"
    echo "$release" >"$state/release"
}

# --- Failure --------------------------------------------------------------------------------------

shielded() { # out of reach of a second Ctrl-C, which would leave the stack half way
    setsid --wait "$@"
}

bring_back() {
    local name
    case $before in
        recorded)
            say 'bringing back what was deployed before'
            local old
            old=$(<"$state/release")
            for name in "${own[@]}"; do
                docker tag "sep-$name:before" "sep-$name:$old"
            done
            # Its file has no profile that was not in use.
            shielded docker compose --file "$state/before.yaml" --profile '*' \
                up --detach --no-build --remove-orphans --wait --wait-timeout "$wait_s" >&2
            ;;
        running)
            say 'bringing back the images that ran before'
            shielded env SEP_RELEASE=before KILL_SWITCH=1 "${compose[@]}" \
                up --detach --no-build --wait --wait-timeout "$wait_s" >&2
            ;;
        *)
            say 'nothing ran before: stopping what was started; state stays in its volumes'
            shielded "${compose[@]}" down >&2
            ;;
    esac
}

roll_back() {
    local code=$? how
    trap - EXIT
    trap '' INT TERM HUP
    if ((code == 0)); then
        exit 0
    fi
    ((code > 128)) && how='was stopped' || how="failed with $code"
    if ((!changed)); then
        say "FAILED at: $current ($how). Nothing was changed."
        exit 1
    fi
    set +e
    say "FAILED at: $current ($how). What its containers say:"
    "${compose[@]}" ps --all --format 'table {{.Name}}\t{{.Status}}' >&2
    "${compose[@]}" logs --no-color --tail 5 >&2
    if ! bring_back; then
        say 'ROLLBACK FAILED: the stack needs a hand'
    elif [[ $before != nothing ]]; then
        if fetch_key && shielded "$python" scripts/ops/kill_switch.py engage \
            --reason "rolled back from $release" --url "$url" --key-file "$key_file" >&2; then
            say 'rolled back; the kill switch is engaged'
        else
            say 'rolled back, but the kill switch CAN NOT BE ENGAGED: see to it'
        fi
    fi
    say "the cause: step '$current' $how; see above"
    exit 1
}

# --- All of it ------------------------------------------------------------------------------------

if ((!dry_run)); then
    mkdir -p "$state"
    exec 9>"$state/lock"
    flock --nonblock 9 || refuse 'another deploy runs'
fi
trap roll_back EXIT
# Only once the command that runs has ended: it must not go on beside a rollback.
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

step "checking tools and settings (release $release, $profile)"
check_tools
step 'noting what runs now'
remember
step 'building images'
build_images
((dry_run)) || echo "$broker" >"$state/broker"
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
say "  $python scripts/ops/kill_switch.py release --reason '...'"
