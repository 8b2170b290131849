# What the scenarios' `run` have in common: real servers, a summary, and nothing left behind. Read by `.`, with `scenario`
# set to the name of the folder.
#
#   begin "$@"                 options, a directory `$work`, and `carport` on PATH
#   need PROGRAM…              ends when one is missing; with `--needs` that is all
#   parts PART…                starts servers (dev/serve-parts.ts) and sets their addresses
#   step TITLE COMMAND…        must succeed, else all ends here
#   refused TITLE WHY COMMAND… must fail, and say WHY, a pattern of grep
#   check TITLE COMMAND…       must be so at the end; the others are asked all the same
#   finish                     the summary; 0 when all was right

passed=0
failed=0

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
  export PATH="$work/bin:$PATH:$cache/carport/peers/bin" HOME="$work/home" TMPDIR="$work/tmp" NO_COLOR=1
  export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=maintainer GIT_AUTHOR_EMAIL=maintainer@example.org
  export GIT_COMMITTER_NAME=maintainer GIT_COMMITTER_EMAIL=maintainer@example.org
  unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
  unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_DATA_HOME
  unset DOCKER_CONFIG DOCKER_AUTH DOCKER_AUTH_CONFIG REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
  for name in $(env | sed -n 's/^\(CI\|CI_[A-Z_]*\|AWS_[A-Z_]*\|CARPORT_[A-Z_]*\|DRONE[A-Z_]*\|GIT\(HUB\|LAB\|EA\)_[A-Z_]*\|FORGEJO_[A-Z_]*\)=.*/\1/p'); do
    # Which Garage it is, is the machine's.
    [ "$name" = CARPORT_GARAGE ] || unset "$name"
  done
  export AWS_EC2_METADATA_DISABLED=true
}

clean_up() {
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
