#!/bin/sh
# Faasm's releases, a step a call, in the place of `inv release.…` and `inv docker.release`. A maintainer runs them in a clone:
#
#   release.sh download [VERSION]   toolchain, sysroot and runtime of a release, the newest one by default
#   release.sh bump [VERSION]       the version, in all files that carport.toml names, on a branch for a pull request
#   release.sh gate                 what a pull request must pass: CI runs it
#   release.sh tag                  v<version> at the head of main, when the pull request is merged
#   release.sh create               archives, to the bucket, and a draft at the forge with all of them
#   release.sh publish              the draft becomes the release
#   release.sh images               the six images in order: CI runs it for the tag
set -eu

forge=${FORGE:-https://github.com/faasm/faasm}
website=${WEBSITE:-https://faasm.example.org/}
target=x86_64-unknown-linux-gnu

version() { cat VERSION; }

# What a part is called in its archive, and where it comes to.
trees='toolchain llvm-sysroot runtime_root'
archive() {
  case $1 in
    toolchain) echo "faasm-toolchain-$2.tar.gz" ;;
    llvm-sysroot) echo "faasm-sysroot-$2.tar.gz" ;;
    runtime_root) echo "faasm-runtime-root-$2.tar.gz" ;;
  esac
}

download() {
  wanted=${1:+v$1}
  carport release download "${wanted:-stable}" --target "$target" --cache "$website" --out downloads
  for tree in $trees; do
    rm -rf "artifacts/$tree"
    mkdir -p artifacts
    for file in downloads/$(archive "$tree" "${1:-*}"); do tar -xzf "$file" -C artifacts; done
  done
}

bump() {
  carport release bump ${1:+--to "$1"} --yes
  git checkout --quiet -b "bump-$(version)"
  git commit --quiet --all --message "Bump version to $(version)"
  git push --quiet origin "bump-$(version)"
}

gate() {
  sh tests/run.sh
  # What is taken from cpp must be in its main branch.
  upstream=$(mktemp -d)
  trap 'rm -rf "$upstream"' EXIT
  git init --quiet --bare "$upstream"
  git -C "$upstream" fetch --quiet "${CPP:-https://github.com/faasm/cpp.git}" main
  git -C "$upstream" merge-base --is-ancestor "$(cat cpp.commit)" FETCH_HEAD || {
    echo "release.sh: cpp's $(cat cpp.commit) is not upstream" >&2
    return 1
  }
}

tag() {
  carport release tag --push
}

# The same trees give the same archive.
pack() {
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r,go-w -C artifacts -c "$1" | gzip -n
}

create() {
  mkdir -p dist
  for tree in $trees; do pack "$tree" > "dist/$(archive "$tree" "$(version)")"; done
  carport release put "dist/*-$(version).tar.gz" --tag "v$(version)" --commit "$(git rev-parse HEAD)" --target "$target"
  carport index publish
  carport release forge-publish "v$(version)" --to "$forge" --notes-from-commits --draft
}

publish() {
  carport release forge-publish "v$(version)" --to "$forge"
}

images() {
  [ -d artifacts ] || download "$(version)"
  carport image publish --tag "v$(version)" ${REGISTRY:+--registry docker="$REGISTRY/faasm"}
}

step=${1-}
case $step in
  download | bump | gate | tag | create | publish | images) shift && "$step" "$@" ;;
  *) echo "usage: release.sh download|bump|gate|tag|create|publish|images" >&2; exit 2 ;;
esac
