#!/bin/sh
# Publishes the archives of a Faasm release: publish.sh [--current] VERSION [DIRECTORY]
#
# DIRECTORY (the working directory without it) has
#
#   faasm-toolchain-VERSION.tar.gz      with the directory toolchain
#   faasm-sysroot-VERSION.tar.gz        with the directory llvm-sysroot
#   faasm-runtime-root-VERSION.tar.gz   with the directory runtime_root
#
# Each tree becomes a store path, is pushed and gets the pin faasm-…-VERSION. When all are there, the names without a
# version (faasm-toolchain, faasm-sysroot, faasm-runtime-root) move to them. When they have moved since the version was
# published (a job that is run again), they stay, unless --current is given.
#
# CARPORT_TO is the cache, CARPORT_SECRET_KEY_FILES the file of the key to sign with.
set -eu

fail() {
  printf 'publish.sh: %s\n' "$2" >&2
  exit "$1"
}

current=
if [ "${1:-}" = --current ]; then
  current=yes
  shift
fi
[ $# -eq 1 ] || [ $# -eq 2 ] || fail 2 'usage: publish.sh [--current] VERSION [DIRECTORY]'
version=$1
directory=${2:-.}
case $version in
  '' | *[!0-9A-Za-z.+-]*) fail 2 "\`$version\` is not a version such as 1.2.3" ;;
esac
: "${CARPORT_TO:?is to be the cache to push to}"
: "${CARPORT_SECRET_KEY_FILES:?is to be the file of the key to sign with}"

archive_of() { printf '%s/faasm-%s-%s.tar.gz' "$directory" "$1" "$version"; }
tree_of() {
  case $1 in
    toolchain) echo toolchain ;;
    sysroot) echo llvm-sysroot ;;
    runtime-root) echo runtime_root ;;
  esac
}

# Sets since and known to when the pin $1 came to its store path and to that; to nothing when there is no such pin.
look_at() {
  code=0
  line=$(carport pin ls "$1" --from "$CARPORT_TO" 2>"$work/errors") || code=$?
  case $code in
    0) ;;
    5) line= ;;
    *)
      cat "$work/errors" >&2
      exit "$code"
      ;;
  esac
  read -r _ since _ known <<END
$line
END
}

for part in toolchain sysroot runtime-root; do
  archive=$(archive_of "$part")
  [ -f "$archive" ] || fail 5 "\`$archive\` does not exist"
done

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# The out-links keep the paths from garbage collection while this runs.
for part in toolchain sysroot runtime-root; do
  archive=$(archive_of "$part")
  tree=$(tree_of "$part")
  mkdir "$work/$part"
  tar -xzof "$archive" -C "$work/$part" || fail 1 "\`$archive\` cannot be unpacked"
  [ -d "$work/$part/$tree" ] || fail 6 "\`$archive\` has no directory \`$tree\`"
  path=$(carport store add "$work/$part/$tree" --name "faasm-$part-$version" --out-link "$work/$part.path")
  # A version is published once: who has it and who fetches it now must have the same.
  pin=faasm-$part-$version
  look_at "$pin"
  [ -z "$line" ] || [ "$known" = "$path" ] ||
    fail 1 "\`$pin\` is there already, with other content: publish another version"
  published=$since
  look_at "faasm-$part"
  # Times are as long as each other, so the order of text is theirs.
  if [ -n "$published" ] && [ -n "$known" ] && [ "$since" \> "$published" ] && [ -z "$current" ]; then
    [ "$known" = "$path" ] || printf 'publish.sh: `faasm-%s` stays: %s was published before\n' "$part" "$version" >&2
  else
    : >"$work/$part.moves"
  fi
done

for part in toolchain sysroot runtime-root; do
  carport push "$work/$part.path" --pin "faasm-$part-$version"
done
for part in toolchain sysroot runtime-root; do
  [ ! -e "$work/$part.moves" ] || carport pin set "faasm-$part" "$work/$part.path"
done
