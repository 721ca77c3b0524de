#!/usr/bin/env bash
# Builds the stack, starts it, warms it up, restarts it with the live configuration and verifies it.
# The kill switch is engaged when it ends, also after a failure: an operator releases it.
set -euo pipefail

usage() {
    cat <<'USAGE'
./deploy.sh [options]

Builds the images, engages the kill switch of the running stack, starts the containers with entries
forbidden, waits until they are healthy, runs the warm-up orchestrator, restarts the containers whose
live configuration differs, and verifies gates blob, coherence of all pairs, ranking and allocation.
Leaves the kill switch engaged. Running it again ends in the same state. After a failed step or
Ctrl-C it restores what ran before and prints the cause.

  --profile NAME     paper (starts the paper broker), practice or live; paper if not given
  --env-file FILE    settings of the services; deploy/demo.env for paper, deploy/practice.env for
                     practice, needed for live
  --token-file FILE  the broker's token; deploy/paper_token for paper; otherwise OANDA_API_TOKEN of
                     the environment is used without it. User 10001 must be able to read the file;
                     protect it by its folder's permissions
  --observe          Prometheus, Alertmanager and Grafana as well
  --days N           history to warm up with; CANDLE_BACKFILL_DAYS of the env file, or 90
  --wait SECONDS     longest wait for health, for each step of the warm-up and for the
                     verification; 300
  --no-build         use images that exist already
  --dry-run          print the steps and change nothing
  --help             this text

Exit codes: 0 deployed and verified; 1 a step failed or was stopped, and what ran before runs again;
2 the call itself is wrong, or another deploy runs, and nothing was changed.
Environment variables: OANDA_ACCOUNT_ID (over the env file's; ignored for paper), OANDA_API_TOKEN
(if no --token-file is given; ignored for paper), HTTP_PORT (8000), PYTHON_IMAGE, VALKEY_IMAGE, ENVOY_IMAGE, PROMETHEUS_IMAGE, ALERTMANAGER_IMAGE, GRAFANA_IMAGE,
POSTGRES_IMAGE (images with digest; needed for live), SEP_PYTHON (.venv/bin/python), SEP_DEPLOY_DIR
(.run/deploy: the last deployed configuration, and the key for calls that change something).
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

log() { printf 'deploy: %s\n' "$*" >&2; }

refuse() { # exits before anything is changed
    trap - EXIT
    log "$*"
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
        *) refuse "unknown option $1; --help lists the options" ;;
    esac
    shift
done

case $profile in
    paper)
        # What is still set in the shell must not send a demo's orders to a real broker, nor give a
        # real token or account to the paper broker.
        unset OANDA_API_URL OANDA_STREAM_URL OANDA_API_TOKEN OANDA_ACCOUNT_ID
        : "${env_file:=deploy/demo.env}" "${token_file:=deploy/paper_token}"
        ;;
    practice)
        : "${env_file:=deploy/practice.env}"
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
[[ $token_file || ${OANDA_API_TOKEN:-} ]] \
    || refuse "--profile $profile needs --token-file or an exported OANDA_API_TOKEN"
[[ -r $env_file ]] || refuse "can't read the env file $env_file"
[[ -z $token_file || -r $token_file ]] || refuse "can't read the token file $token_file"
[[ $wait_s =~ ^[1-9][0-9]*$ ]] || refuse "--wait is a number of seconds, not $wait_s"
[[ $days =~ ^([1-9][0-9]*)?$ ]] || refuse "--days is a number of days, not $days"

setting() { # prints the last value of a name in the env file
    sed -n "s/^$1=['\"]\{0,1\}\([^'\"# ]*\).*/\1/p" "$env_file" | tail -n 1
}

environment=$(setting OANDA_ENVIRONMENT)
[[ ${environment:-paper} == "$profile" ]] \
    || refuse "--profile is $profile, but OANDA_ENVIRONMENT in $env_file is ${environment:-paper}"
: "${days:=$(setting CANDLE_BACKFILL_DAYS)}"
: "${days:=90}"

account=${OANDA_ACCOUNT_ID:-$(setting OANDA_ACCOUNT_ID)}
[[ $account ]] || refuse "export OANDA_ACCOUNT_ID, or set it in $env_file"

# A tag may name another image tomorrow. Paper and practice may follow a tag; real money may not.
if [[ $profile == live ]]; then
    foreign=(PYTHON_IMAGE VALKEY_IMAGE ENVOY_IMAGE)
    ((observe)) && foreign+=(PROMETHEUS_IMAGE ALERTMANAGER_IMAGE GRAFANA_IMAGE)
    [[ ,${COMPOSE_PROFILES:-}, == *,postgres,* ]] && foreign+=(POSTGRES_IMAGE)
    for name in "${foreign[@]}"; do
        [[ ${!name:-} =~ @sha256:[0-9a-f]{64}$ ]] \
            || refuse "$name must name an image with its digest for --profile live, not '${!name:-}';" \
                "docs/operations/reference.md, Images, says how"
    done
fi

python=${SEP_PYTHON:-.venv/bin/python}
state=${SEP_DEPLOY_DIR:-.run/deploy}
url=http://127.0.0.1:${HTTP_PORT:-8000}
key_file=$state/write_key
# Stored candles, gates and orders belong to one account of one broker and must not be used with
# another.
broker="$profile $account"
images=(gateway evaluator allocator guard journal stack)
compose=(docker compose)
if [[ $profile == paper ]]; then
    compose+=(--profile paper)
    images+=(paper-broker)
fi
if ((observe)); then
    compose+=(--profile observe)
fi

# Every fault of the settings is named before anything is built or changed. Containers see the env
# file and the URLs, not this shell's environment.
if [[ -x $python ]]; then
    env -i PATH="$PATH" OANDA_API_URL="${OANDA_API_URL-http://127.0.0.1:18080}" \
        OANDA_STREAM_URL="${OANDA_STREAM_URL-http://127.0.0.1:18080}" KILL_SWITCH_DIR=/state \
        "$python" -m sep_local check --env-file "$env_file" --token-in-file \
        || refuse "the settings in $env_file have faults"
fi

absolute() { realpath --canonicalize-missing --no-symlinks "$1"; }

exported_token=''
if [[ -z $token_file ]]; then
    # In a folder that only this user can enter; the containers get the file alone. Not in the
    # environment: anyone who may inspect a container can read that.
    token_file=$state/broker_token/oanda_api_token
    exported_token=$OANDA_API_TOKEN
fi
unset OANDA_API_TOKEN
SEP_ENV_FILE=$(absolute "$env_file")
OANDA_API_TOKEN_FILE=$(absolute "$token_file")
export SEP_ENV_FILE OANDA_API_TOKEN_FILE
# A release is named after the digest of its sources, so deploying the same sources twice changes
# nothing. The operators' commands are in no image.
release=$(find Dockerfile compose.yaml deploy/image requirements protos libs services simulators tools -type f \
    -not -path '*/__pycache__/*' -not -path '*.egg-info/*' -not -path '*/tests/*' \
    -not -path '*/build/*' -not -path 'protos/gen/*' -not -path 'tools/ops/*' -print0 \
    | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-12)
export SEP_RELEASE=$release
# Prometheus reads its rules at start: a changed digest restarts it.
SEP_RULES=$(cat deploy/prometheus/*.yaml | sha256sum | cut -c 1-12)
export SEP_RULES

# --- Steps ----------------------------------------------------------------------------------------

run() { # runs a command that changes something; a dry run only prints it
    if ((dry_run)); then
        printf '  %s\n' "$*"
    else
        "$@"
    fi
}

compose_up() { # $1: KILL_SWITCH_FORCE_ENV, 1 to engage the kill switch whatever is stored
    run env KILL_SWITCH=1 KILL_SWITCH_FORCE_ENV="$1" "${compose[@]}" \
        up --detach --no-build --wait --wait-timeout "$wait_s"
}

store_token() { # writes an exported token to its file
    ((dry_run)) || [[ -z $exported_token ]] && return
    (umask 077 && mkdir -p "${OANDA_API_TOKEN_FILE%/*}")
    (umask 022 && printf '%s\n' "$exported_token" >"$OANDA_API_TOKEN_FILE.new")
    mv "$OANDA_API_TOKEN_FILE.new" "$OANDA_API_TOKEN_FILE"
}

current='' # the step in progress
changed=0  # 1 once containers may have been changed
before=''  # what ran before: recorded (in $state), running (but not recorded) or nothing

step() {
    current=$1
    log "$1"
}

check_tools() {
    ((dry_run)) && return
    store_token
    docker version >/dev/null 2>&1 || refuse 'no container engine answers (docker version)'
    docker compose version >/dev/null 2>&1 || refuse 'docker compose is not installed'
    if [[ ! -x $python ]] || ! "$python" -c 'import sep_ops' 2>/dev/null; then
        log "making .venv for the scripts"
        make .venv/installed >&2
    fi
    "${compose[@]}" config --quiet
    if [[ -s $state/broker && $(<"$state/broker") != "$broker" ]] \
        && docker volume inspect sep_valkey >/dev/null 2>&1; then
        refuse "the volumes hold the state of '$(<"$state/broker")', not of '$broker'. To start over:" \
            "docker compose --profile '*' down && docker volume rm sep_valkey"
    fi
}

remember() { # tags the running images as 'before': the build may move their other tags
    before=nothing
    ((dry_run)) && return
    local name image
    for name in gateway evaluator allocator guard journal; do
        [[ $(docker inspect --format '{{.State.Status}}' "sep-$name" 2>/dev/null) \
            =~ ^(running|restarting|paused)$ ]] && before=running
    done
    [[ $before == running ]] || return 0
    for name in "${images[@]}"; do
        image=$(docker inspect --format '{{.Image}}' "sep-${name/#stack/init}" 2>/dev/null) || continue
        docker tag "$image" "sep-$name:before"
    done
    # The record counts only if the running containers are those of the recorded deploy.
    if [[ -s $state/live.yaml && -s $state/release \
        && $(docker inspect --format '{{.Config.Image}}' sep-guard) == "sep-guard:$(<"$state/release")" ]]; then
        before=recorded
        cp "$state/live.yaml" "$state/before.yaml"
    fi
    log "before: $before"
}

build_images() {
    if ((!build)); then
        local name
        for name in "${images[@]}"; do
            ((dry_run)) || docker image inspect "sep-$name:$release" >/dev/null 2>&1 \
                || refuse "there is no image sep-$name:$release; leave out --no-build"
        done
        return 0
    fi
    # One image first: the others reuse its shared layers instead of building them in parallel.
    run "${compose[@]}" build --quiet guard
    run "${compose[@]}" build --quiet
}

fetch_key() { # copies the write key out, for the scripts and the operators of this machine
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
    # The running guard must not open anything while the other containers are replaced. A stack that
    # does not answer is no reason to stop: the new guard engages the switch when it starts.
    if [[ $before != nothing ]] && ! { fetch_key && engage_kill_switch; }; then
        log 'the kill switch of the running stack can not be engaged; continuing with its replacement'
    fi
    # No entry passes until an operator releases the switch. Reductions go on.
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
    [[ ${force:-0} == 0 ]] || log 'KILL_SWITCH_FORCE_ENV of the env file is ignored'
    compose_up 0
}

verify() {
    run "$python" scripts/ops/verify_stack.py --url "$url" --key-file "$key_file" \
        --wait "$wait_s" --kill-switch engaged --margin any
}

record() {
    ((dry_run)) && return
    # The file holds every value filled in. Secrets appear by file name only, but it is private anyway.
    (umask 077 && KILL_SWITCH=1 KILL_SWITCH_FORCE_ENV=0 "${compose[@]}" config >"$state/live.new")
    mv "$state/live.new" "$state/live.yaml"
    echo "$release" >"$state/release"
}

# --- Failure --------------------------------------------------------------------------------------

shielded() { # runs a command that Ctrl-C can't reach, so that a rollback is not interrupted
    setsid --wait "$@"
}

restore() {
    local name
    case $before in
        recorded)
            log 'bringing back what was deployed before'
            local old
            old=$(<"$state/release")
            for name in "${images[@]}"; do
                docker tag "sep-$name:before" "sep-$name:$old"
            done
            # The recorded file holds only the profiles that were in use, so '*' adds nothing.
            shielded docker compose --file "$state/before.yaml" --profile '*' \
                up --detach --no-build --remove-orphans --wait --wait-timeout "$wait_s" >&2
            ;;
        running)
            log 'bringing back the images that ran before'
            shielded env SEP_RELEASE=before KILL_SWITCH=1 "${compose[@]}" \
                up --detach --no-build --wait --wait-timeout "$wait_s" >&2
            ;;
        *)
            log 'nothing ran before: stopping what was started; state stays in its volumes'
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
        log "FAILED at: $current ($how). Nothing was changed."
        exit 1
    fi
    set +e
    log "FAILED at: $current ($how). The state and last log lines of the containers:"
    "${compose[@]}" ps --all --format 'table {{.Name}}\t{{.Status}}' >&2
    "${compose[@]}" logs --no-color --tail 5 >&2
    if ! restore; then
        log 'ROLLBACK FAILED: repair the stack by hand'
    elif [[ $before != nothing ]]; then
        if fetch_key && shielded "$python" scripts/ops/kill_switch.py engage \
            --reason "rolled back from $release" --url "$url" --key-file "$key_file" >&2; then
            log 'rolled back; the kill switch is engaged'
        else
            log 'rolled back, but the kill switch CAN NOT BE ENGAGED: engage it by hand'
        fi
    fi
    log "the cause: step '$current' $how; see above"
    exit 1
}

# --- Main -----------------------------------------------------------------------------------------

if ((!dry_run)); then
    mkdir -p "$state"
    exec 9>"$state/lock"
    flock --nonblock 9 || refuse 'another deploy runs'
fi
trap roll_back EXIT
# bash runs a trap after the command in progress has ended, so it never overlaps with the rollback.
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

step "checking tools and settings (release $release, $profile)"
check_tools
step 'recording what runs now'
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
step 'recording the deploy'
record
current=''
if ((dry_run)); then
    log 'dry run: nothing was changed'
    exit 0
fi
log "release $release is live on $url; the kill switch is engaged. To release it:"
log "  $python scripts/ops/kill_switch.py release --reason '...'"
