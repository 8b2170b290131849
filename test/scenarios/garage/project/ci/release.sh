#!/bin/sh
# The steps of Garage's releases, one a call. What is built is taken from the CI system: the tag, else the commit.
#
#   release.sh check                         builds and tests all targets: nothing is published of what does not pass
#   release.sh build      TARGET             result/bin/garage
#   release.sh test       TARGET             what was built is static, and runs
#   release.sh publish    TARGET             to the bucket
#   release.sh finish                        when all four are there: the image of all platforms, of what was published, and the page
#   release.sh promote    DRONE_DEPLOY_TO    `drone build promote deuxfleurs/garage BUILD stable|extra [-p AS=v1.0.0-k2v]`
#   release.sh toolchain                     what it takes to build, to the Nix cache
set -eu

registry=${REGISTRY:-docker.io}
nix_cache=${NIX_CACHE:-s3://nix?endpoint=https://garage.deuxfleurs.fr&region=garage}

targets='aarch64-unknown-linux-musl armv6l-unknown-linux-musleabihf i686-unknown-linux-musl x86_64-unknown-linux-musl'

build() {
  sh src/build.sh "$TARGET" result/bin/garage
}

gate() {
  if readelf --program-headers result/bin/garage | grep -q INTERP; then
    echo "release.sh: garage of $TARGET is linked dynamically" >&2
    return 1
  fi
  # Others than this machine's are tried elsewhere.
  case $TARGET in
    x86_64-*) [ "$(./result/bin/garage --version)" = "garage $(cat VERSION)" ] ;;
  esac
}

check() {
  for TARGET in $targets; do
    build
    gate
  done
}

publish() {
  carport release put result/bin/garage --notes-file CHANGELOG.md
}

finish() {
  version=$(carport ci env | sed -n 's/^version: \([^ ]*\) .*/\1/p')
  carport release download "$version" --out downloads
  carport image publish --registry docker="$registry/dxflrs"
  carport index publish
}

# The same bytes, and the same images, under the name of the release.
promote() {
  from=${DRONE_TAG:-$DRONE_COMMIT}
  case $DRONE_DEPLOY_TO in
    stable) as=${AS:-${from%%-*}} ;;
    extra) as=${AS:?is to be the name of the build} ;;
    *) echo "release.sh: DRONE_DEPLOY_TO is stable or extra, not $DRONE_DEPLOY_TO" >&2; return 2 ;;
  esac
  carport release promote "$from" --to "$DRONE_DEPLOY_TO" --as "$as"
  carport image copy "$registry/dxflrs/garage:$from" "$registry/dxflrs/garage:$as"
  carport index publish
}

toolchain() {
  carport cache refresh-toolchain --file nix/toolchain.nix --to "$nix_cache" --pin garage-toolchain
}

case ${1-} in
  check | build | publish | finish | promote | toolchain) "$1" ;;
  test) gate ;;
  *) echo "usage: release.sh check|build|test|publish|finish|promote|toolchain" >&2; exit 2 ;;
esac
