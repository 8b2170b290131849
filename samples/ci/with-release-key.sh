#!/bin/sh
# Runs a command with the key of releases: `with-release-key.sh carport index publish`.
#
# CI systems hand out secrets as variables, here RELEASE_KEY, the line that `carport key generate` wrote. carport reads
# keys from files only, which nobody else can read. This one is gone when the command ends. `printf` is the shell's own,
# so the key is on no command line.
set -eu

: "${RELEASE_KEY:?is not set: CI systems give no secrets to builds of forks and of branches that are not protected}"
umask 077
key=$(mktemp)
trap 'rm -f "$key"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
printf '%s\n' "$RELEASE_KEY" > "$key"
unset RELEASE_KEY
CARPORT_SECRET_KEY_FILES=$key "$@"
