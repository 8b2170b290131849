#!/bin/sh
# The steps of mlc-llm's releases, one a call. What is built is taken from the CI system: the tag, else the commit.
#
#   release.sh build                dist/*.whl for TARGET, in a directory that has nothing but the commit
#   release.sh put                  to the bucket, for the jobs after this one: nobody is told
#   release.sh test                 what TARGET's job has put, installed as users do, in a job that has not built it
#   release.sh publish              a tag: promoted to the release, on the index, the forge and the registry
#   release.sh nightly              a commit: built, tested, and on the nightly index and the registry
#   release.sh clean-up             what has had its time goes
set -eu

tag=
[ "${GITHUB_REF_TYPE-}" != tag ] || tag=$GITHUB_REF_NAME

# Wheels of a tag are called as the tag, others as git describes the commit: v0.20.0-3-g… is 0.20.1.dev3.
package=mlc-llm-cpu
if [ -n "$tag" ]; then
  version=${tag#v}
  # What the jobs of this run hand on. It becomes the release when it is tested.
  build=$tag-build.$GITHUB_RUN_NUMBER
else
  package=mlc-llm-nightly-cpu
  described=$(git describe --tags --long --match 'v*')
  commits=${described%-g*}
  last=${commits%-*}
  version=${last%.*}.$((${last##*.} + 1)).dev${commits##*-}
  version=${version#v}
  build=$(git rev-parse HEAD)
fi

build() {
  rm -rf dist clean
  mkdir clean
  # Nothing of another build, nor of a pull request's.
  git archive HEAD | tar -xf - -C clean
  case $TARGET in
    *-linux-*)
      platform=manylinux_2_28_x86_64
      gcc -shared -fPIC -O2 -s -DVERSION="\"$version\"" clean/cpp/mlc_llm.c -o clean/python/mlc_llm/libmlc_llm.so
      ;;
    *-windows-*)
      platform=win_amd64
      # There is no compiler for Windows here.
      printf 'MZ mlc_llm_version %s' "$version" > clean/python/mlc_llm/mlc_llm.dll
      ;;
  esac
  python clean/tools/build-wheel.py clean/python dist "$package" "$version" "py3-none-$platform"
}

# With a tag's own name it would be the release already.
put() {
  carport release put 'dist/*.whl' --target "$TARGET" --commit "$(git rev-parse HEAD)" ${tag:+--tag "$build"}
}

# The wheel that was put for TARGET: its address, with its hash, as installers take it. A nightly is tested where it was built.
wheel() {
  [ -n "$tag" ] || { echo dist/*.whl; return; }
  carport release show "$build" --json | python -c '
import json, sys
for entry in json.load(sys.stdin)["release"]["targets"]:
    for file in entry["files"] if entry["target"] == sys.argv[1] else []:
        if file["name"].endswith(".whl"): print(file["url"] + "#sha256=" + file["sha256"])
' "$TARGET"
}

gate() {
  rm -rf site
  case $TARGET in
    *-linux-*)
      uv pip install --quiet --target site --no-deps "$(wheel)"
      [ "$(PYTHONPATH=site python -m mlc_llm)" = "mlc_llm $version" ] || {
        echo "release.sh: the wheel of $TARGET is not $version" >&2
        return 1
      }
      ;;
    *-windows-*)
      uv pip install --quiet --target site --no-deps --python-platform windows "$(wheel)"
      grep -aq "mlc_llm_version $version\$" site/mlc_llm/mlc_llm.dll
      ;;
  esac
}

# What was tested is in the image, too.
images() {
  [ -d site ] || TARGET=x86_64-unknown-linux-gnu gate
  # How old an image is, which `image prune` asks.
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) carport image publish ${REGISTRY:+--registry ghcr="$REGISTRY/mlc-ai"}
}

publish() {
  # v0.21.0-rc1 is for those who ask for it.
  case $tag in *-*) channel=extra ;; *) channel=stable ;; esac
  carport release promote "$build" --to "$channel" --as "$tag" --notes-file CHANGELOG.md
  carport index publish
  carport release forge-publish "$tag" --to "${FORGE_KIND:-github}" "${FORGE:-https://github.com/mlc-ai/mlc-llm}"
  images
}

nightly() {
  for TARGET in x86_64-pc-windows-msvc x86_64-unknown-linux-gnu; do
    build
    put
    gate
  done
  carport index publish
  images
}

# What is out of the index is deleted by a later run.
clean_up() {
  carport release prune --apply
  carport index publish
  carport image prune "${REGISTRY:-ghcr.io}/mlc-ai/mlc-llm-cpu" --yes
}

case ${1-} in
  build | put | publish | nightly) "$1" ;;
  test) gate ;;
  clean-up) clean_up ;;
  *) echo "usage: release.sh build|put|test|publish|nightly|clean-up" >&2; exit 2 ;;
esac
