#!/usr/bin/env bash
# Makes the golden data of this directory with real Nix (2.8), in a chroot store of its own.
# Usage: generate.sh [directory to write]. The secret key is read from this directory, never made anew: ed25519 is
# deterministic, so the signatures are the same on every run.
set -euo pipefail
export LC_ALL=C
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here}
work=$(mktemp -d)
trap 'chmod -R u+rwX "$work"; rm -rf "$work"' EXIT

mkdir -p "$out" "$work"/{conf,home,tmp,trees}
out=$(cd "$out" && pwd)
rm -rf "$out"/{cache,drv,nar} "$out"/{fixed-paths,hashes}.tsv "$out"/{public-key,nix-version}.txt
mkdir -p "$out"/{cache,drv,nar}

# Builds in a chroot store run in the sandbox; the settings bring in the system's shell.
sandbox_paths=$(ls -d /bin /usr /lib /lib64 2>/dev/null | tr '\n' ' ' || true)
cat > "$work/conf/nix.conf" <<EOF
sandbox = false
build-users-group =
substituters =
experimental-features = nix-command flakes ca-derivations
sandbox-paths = $sandbox_paths
system = x86_64-linux
EOF
unset NIX_PATH NIX_STORE_DIR NIX_STATE_DIR NIX_LOG_DIR
export HOME="$work/home" TMPDIR="$work/tmp" NIX_CONF_DIR="$work/conf" NIX_USER_CONF_FILES= NIX_REMOTE="local?root=$work"
nix --version | sed 's/.* //' > "$out/nix-version.txt"

# --- hashes of contents, in every format
for content in '' 'abc' 'The quick brown fox'; do
  printf '%s' "$content" > "$work/content"
  for algorithm in md5 sha1 sha256 sha512; do
    base16=$(nix-hash --type $algorithm --flat "$work/content")
    base32=$(nix-hash --type $algorithm --flat --base32 "$work/content")
    base64=$(nix hash to-base64 --type $algorithm "$base16")
    sri=$(nix hash to-sri --type $algorithm "$base16")
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$content" $algorithm "$base16" "$base32" "$base64" "$sri"
  done
done > "$out/hashes.tsv"

# --- store paths of fixed outputs, by content address
for algorithm in md5 sha1 sha256 sha512; do
  hash=$(printf 'fixed output' > "$work/content" && nix-hash --type $algorithm --flat "$work/content")
  printf 'fixed:%s:%s\t%s\n' $algorithm "$hash" "$(nix-store --print-fixed-path $algorithm "$hash" "flat-$algorithm")"
  printf 'fixed:r:%s:%s\t%s\n' $algorithm "$hash" \
    "$(nix-store --print-fixed-path --recursive $algorithm "$hash" "recursive-$algorithm")"
done > "$out/fixed-paths.tsv"

# --- NARs of trees
cd "$work/trees"
: > empty-file
mkdir empty-directory
printf '#!/bin/sh\n' > executable
chmod +x executable
ln -s some/where symlink
ln -s ../../does/not/exist dangling-symlink
mkdir -p nested/a/b/c/d nested/bin
printf 'deep' > nested/a/b/c/d/file
printf 'tool' > nested/bin/tool
chmod +x nested/bin/tool
ln -s ../a/b nested/bin/link
mkdir padding
for size in 0 1 6 7 8 9 15 16 17; do head -c $size /dev/zero | tr '\0' x > "padding/$size"; done
mkdir -p sorting/{a,b} # `a/x` comes after `a-` as text, `a` before `a-` as a name
for name in a/x a- a. A a0 aa b/- Z _ '~' ' ' é z $'\x7f' 10 9 __proto__; do printf '%s' "$name" > "sorting/$name"; done
mkdir invalid-utf8
for name in $'\xff' $'caf\xe9' $'\xc3\xa9' $'\xed\xa0\x80' $'\xf0\x9f\x98\x80' $'\xef\xbf\xbd'; do
  printf 'x' > "invalid-utf8/$name"
done
ln -s $'target-\xfe' invalid-utf8/link
mkdir limits
longest=$(printf 'n%.0s' {1..255})
printf 'x' > "limits/$longest"
ln -s "$(printf 't%.0s' {1..4095})" limits/link
for tree in *; do nix-store --dump "$tree" > "$out/nar/$tree.nar"; done
cd "$work"

# --- derivations
printf 'caf\xe9 \xff\xfe' > "$work/latin1"
golden() { nix-instantiate --eval --strict "$here/golden.nix" --arg latin1 "$work/latin1" "$@"; }
strings() { grep -o '"[^"]*"' | tr -d '"'; }
drvs=$(golden --read-write-mode -A instantiated | strings)
# shellcheck disable=SC2086
for drv in $(nix-store -qR $drvs | grep '\.drv$'); do
  cp "$work$drv" "$out/drv/"
  nix show-derivation "$drv" > "$out/drv/${drv#/nix/store/}.show"
done
chmod 644 "$out"/drv/*

# --- a cache: narinfos, listings, NARs
nix-build "$here/golden.nix" --arg latin1 "$work/latin1" -A built --no-out-link --quiet > "$work/built" 2> "$work/log" ||
  { cat "$work/log" >&2; exit 1; }
self=$(grep -e '-self-reference$' "$work/built")
nix store make-content-addressed "$self" 2> "$work/log"
addressed=$(sed -n "s/^rewrote '.*self-reference' to '\(.*\)'.*/\1/p" "$work/log")
printf 'added\n' > "$work/added.txt"
ln -s added.txt "$work/added-link"
mkdir "$work/added-directory"
printf 'x' > "$work/added-directory/file"
{
  cat "$work/built"
  echo "$addressed"
  golden --read-write-mode -A texts | strings
  nix-store --add "$work/added.txt"
  nix-store --add "$work/added-directory"
  nix-store --add-fixed sha1 "$work/added.txt"
  nix-store --add-fixed --recursive sha512 "$work/added-directory"
  nix-instantiate --eval --read-write-mode -E "builtins.path { path = $work/added-directory; name = \"renamed\"; }" | strings
  nix-instantiate --eval --read-write-mode -E "builtins.path { path = $work/added.txt; name = \"flat\"; recursive = false; }" | strings
  echo "${drvs%%$'\n'*}"
} > "$work/paths"
key="$here/secret-key.txt"
nix key convert-secret-to-public < "$key" > "$out/public-key.txt"
echo >> "$out/public-key.txt"
# shellcheck disable=SC2046
nix copy --no-check-sigs --to "file://$out/cache?compression=none&write-nar-listing=1&secret-key=$key" \
  $(cat "$work/paths") 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
rm -rf "$out"/cache/{log,realisations,debuginfo}
