# What the scenarios' `run` have in common: real servers, a summary, and nothing left behind. Read by `.`, with `scenario`
# set to the name of the folder.
#
#   own_network "$@"           begins again in a network of its own, without root as root of that; all ends with this process
#   begin "$@"                 options, a directory `$work`, and `carport` on PATH
#   need PROGRAM…              ends when one is missing; with `--needs` that is all
#   parts PART…                starts servers (dev/serve-parts.ts) and sets their addresses
#   releases KEY               releases go to the first bucket, signed with a new key of this name
#   pythons                    `python` and `pip` on PATH are those of `.ci/run`, and heed no settings of this machine
#   workflow EVENT JSON …      runs the project's workflows for that event, with these options of act
#   website, api, seen, remote ask the bucket's website, and Gitea as a maintainer and as everybody; a remote for git
#   later DAYS COMMAND…        carport in COMMAND takes it for so many days later; not with a bucket, which would not believe it
#   also_ends PID              a process that this has started ends with it
#   step TITLE COMMAND…        must succeed, else all ends here
#   refused TITLE WHY COMMAND… must fail, and say WHY, a pattern of grep
#   check TITLE COMMAND…       must be so at the end; the others are asked all the same
#   finish                     the summary; 0 when all was right

passed=0
failed=0

own_network() {
  if [ "${SCENARIO_NETWORK-}" = own ]; then
    mount -t tmpfs tmpfs /run
    mkdir /run/netns
    ip link set lo up
  elif command -v ip > /dev/null && unshare --map-root-user --net --mount sh -c 'mount -t tmpfs tmpfs /run && mkdir /run/netns && ip netns add try' 2> /dev/null; then
    SCENARIO_NETWORK=own exec unshare --map-root-user --net --mount sh "$0" "$@"
  else
    echo "$scenario: this machine gives no networks to processes (\`unshare --net\`, and \`ip\` of iproute2)" >&2
    exit 1
  fi
}

begin() {
  checkout=$(cd "$(dirname "$0")/../../.." && pwd)
  here=$checkout/test/scenarios/$scenario
  keep=no
  needs=no
  for argument in "$@"; do
    case $argument in
      --keep) keep=yes ;;
      --needs) needs=yes ;;
      *)
        echo "usage: test/scenarios/$scenario/run [--keep | --needs]"
        echo "  --keep   leave the directory of work, with all that was made and said, and name it"
        echo "  --needs  say which program is missing, and do nothing"
        [ "$argument" = --help ] && exit 0
        exit 2
        ;;
    esac
  done
  [ -f "$checkout/dist/bin/carport.js" ] || { echo "$scenario: build carport first: npm ci" >&2; exit 1; }
  work=$(mktemp -d)
  trap 'code=$?; clean_up; exit $code' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  mkdir "$work/bin" "$work/home" "$work/tmp"
  printf '#!/bin/sh\nexec node %s/dist/bin/carport.js "$@"\n' "$checkout" > "$work/bin/carport"
  chmod +x "$work/bin/carport"
  # Nothing of the person's own: no settings, no logins, no CI system that this may run in.
  cache=${XDG_CACHE_HOME:-$HOME/.cache}
  export PATH="$work/bin:$PATH:$cache/carport/peers/bin:$cache/carport/peers/gitea" HOME="$work/home"
  export TMPDIR="$work/tmp" NO_COLOR=1
  export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=maintainer GIT_AUTHOR_EMAIL=maintainer@example.org
  export GIT_COMMITTER_NAME=maintainer GIT_COMMITTER_EMAIL=maintainer@example.org
  unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
  unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_DATA_HOME
  unset DOCKER_CONFIG DOCKER_AUTH DOCKER_AUTH_CONFIG REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
  for name in $(env | sed -n 's/^\(CI\|CI_[A-Z_]*\|AWS_[A-Z_]*\|CARPORT_[A-Z_]*\|\(PIP\|UV\|TWINE\|PYTHON\)[A-Z_]*\|DRONE[A-Z_]*\|GIT\(HUB\|LAB\|EA\)_[A-Z_]*\|FORGEJO_[A-Z_]*\)=.*/\1/p'); do
    # Which Garage it is, is the machine's.
    [ "$name" = CARPORT_GARAGE ] || unset "$name"
  done
  export AWS_EC2_METADATA_DISABLED=true
}

also_ends() { started="${started-} $1"; }

clean_up() {
  for process in ${started-}; do
    kill "$process" 2> /dev/null || true
    wait "$process" 2> /dev/null || true
  done
  # The servers end when nobody holds the other end of their input.
  exec 9>&-
  [ -z "${serving-}" ] || wait "$serving" || true
  serving=
  if [ "$keep" = yes ]; then
    echo "# kept: $work"
  else
    chmod -R u+w "$work"
    rm -rf "$work"
  fi
}

need() {
  for program in "$@"; do
    command -v "$program" > /dev/null || { echo "$scenario: \`$program\` is missing; .ci/run installs it" >&2; exit 1; }
  done
  [ "$needs" = no ] || exit 0
  echo "# $scenario"
}

parts() {
  mkfifo "$work/alive"
  XDG_CACHE_HOME=$cache node "$checkout/dist/dev/serve-parts.js" "$work/parts" "$@" < "$work/alive" > "$work/parts.log" 2>&1 &
  serving=$!
  exec 9> "$work/alive"
  until [ -f "$work/parts" ]; do
    kill -0 "$serving" 2> /dev/null || { cat "$work/parts.log" >&2; exit 1; }
    sleep 0.1
  done
  set -a
  . "$work/parts"
  set +a
}

releases() {
  carport key generate "$1" --out "$work/release.sec" > "$work/release.pub" 2> "$work/said"
  carport key public "$work/release.sec" --minisign > "$work/minisign.pub"
  CARPORT_CACHE="s3://$BUCKET?endpoint=$GARAGE_ENDPOINT&region=$GARAGE_REGION"
  CARPORT_BASE_URL=$GARAGE_WEBSITE/
  CARPORT_SECRET_KEY=$(cat "$work/release.sec")
  CARPORT_TRUSTED_KEYS=$(cat "$work/release.pub")
  export CARPORT_CACHE CARPORT_BASE_URL CARPORT_SECRET_KEY CARPORT_TRUSTED_KEYS
  export RCLONE_S3_PROVIDER=Other RCLONE_S3_ENDPOINT="$GARAGE_ENDPOINT" RCLONE_S3_REGION="$GARAGE_REGION"
  export RCLONE_S3_ENV_AUTH=true RCLONE_CONFIG="$work/rclone.conf"
  : > "$RCLONE_CONFIG"
}

pythons() {
  printf '#!/bin/sh\nexec %s/carport/peers/python/bin/python "$@"\n' "$cache" > "$work/bin/python"
  printf '#!/bin/sh\nexec %s/carport/peers/python/bin/python -m pip "$@"\n' "$cache" > "$work/bin/pip"
  chmod +x "$work/bin/python" "$work/bin/pip"
  export PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
  export PYTHONDONTWRITEBYTECODE=1 UV_NO_CONFIG=1
}

workflow() {
  event=$1
  printf '%s' "$2" > "$work/event.json"
  shift 2
  act "$event" --platform self-hosted=-self-hosted --eventpath "$work/event.json" --no-cache-server "$@"
}

later() {
  cat > "$work/later.cjs" << JS
const Clock = Date;
globalThis.Date = class extends Clock {
  constructor(...given) { super(...(given.length === 0 ? [Date.now()] : given)); }
  static now() { return Clock.now() + $1 * 86_400_000; }
};
JS
  shift
  NODE_OPTIONS="--require $work/later.cjs" "$@"
}

website() { curl --fail --silent --show-error "$GARAGE_WEBSITE/$1"; }

# api PATH [CURL'S OPTIONS]
api() {
  path=$1
  shift
  curl --fail --silent --show-error -H "Authorization: token $GITEA_TOKEN" -H 'Content-Type: application/json' "$@" "$GITEA/api/v1/$path"
}
seen() { curl --fail --silent --show-error "$GITEA/api/v1/$1"; }
remote() { echo "$GITEA/dev/$1.git" | sed "s#://#://dev:$GITEA_TOKEN@#"; }

step() {
  title=$1
  shift
  if "$@" > "$work/said" 2>&1 9>&-; then
    passed=$((passed + 1))
    log ok "$title"
  else
    failed=$((failed + 1))
    log FAILED "$title"
    tail -n 40 "$work/said"
    finish
  fi
}

refused() {
  title=$1
  why=$2
  shift 2
  if "$@" > "$work/said" 2>&1 9>&-; then
    failed=$((failed + 1))
    log FAILED "$title: it was not refused"
  elif ! grep -q -- "$why" "$work/said"; then
    failed=$((failed + 1))
    log FAILED "$title: not because of \`$why\`"
    tail -n 20 "$work/said"
  else
    passed=$((passed + 1))
    log ok "$title"
  fi
}

check() {
  title=$1
  shift
  if "$@" > "$work/said" 2>&1 9>&-; then
    passed=$((passed + 1))
    log ok "$title"
  else
    failed=$((failed + 1))
    log FAILED "$title"
    tail -n 20 "$work/said"
  fi
}

# A line for people, and all that was said for `--keep`.
log() {
  printf '%-6s %s\n' "$1" "$2"
  { printf '\n== %s: %s\n' "$1" "$2"; cat "$work/said"; } >> "$work/log"
}

finish() {
  if [ "$failed" = 0 ]; then
    echo "# $scenario: all $passed as they should be"
    exit 0
  fi
  echo "# $scenario: $failed of $((passed + failed)) not as they should be"
  exit 1
}
