#!/bin/sh
# Downloads a part of Faasm: download.sh toolchain|sysroot|runtime [VERSION]
#
# Puts toolchain, llvm-sysroot or runtime_root into the directory FAASM_ROOT (the working directory without it), in place
# of what was there; without VERSION the newest. When it fails, what was there stays.
#
# CARPORT_FROM is the cache, CARPORT_TRUSTED_KEYS the public key that its releases are signed with.
set -eu

fail() {
  printf 'download.sh: %s\n' "$2" >&2
  exit "$1"
}

[ $# -eq 1 ] || [ $# -eq 2 ] || fail 2 'usage: download.sh toolchain|sysroot|runtime [VERSION]'
case $1 in
  toolchain) pin=faasm-toolchain tree=toolchain ;;
  sysroot) pin=faasm-sysroot tree=llvm-sysroot ;;
  runtime) pin=faasm-runtime-root tree=runtime_root ;;
  *) fail 2 "\`$1\` is none of toolchain, sysroot and runtime" ;;
esac
: "${CARPORT_FROM:?is to be the cache to pull from}"
: "${CARPORT_TRUSTED_KEYS:?is to be the public key of the releases}"
[ $# -eq 1 ] || pin=$pin-$2
place=${FAASM_ROOT:-.}/$tree

# A directory is of an archive that was unpacked there, before there were pins.
if [ -d "$place" ] && [ ! -L "$place" ]; then
  carport pull "$pin" >/dev/null
  rm -rf "$place"
fi
carport pull "$pin" --out-link "$place" >/dev/null
