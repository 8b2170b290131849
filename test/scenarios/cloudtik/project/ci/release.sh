#!/bin/sh
# CloudTik's releases, a step a call, in the place of release-branch.sh, release-wheels.sh, release-docker.sh and
# release-pypi.sh:
#
#   release.sh branch          branch-<version> and v<version>, of what main is
#   release.sh wheels          for four Pythons, tested where that Python is here, to the bucket: the mirror
#   release.sh docker          the images in order, for all registries, from the wheels that the mirror has
#   release.sh pypi            the wheels of the release to the index, and nothing else that lies about
set -eu

target=manylinux2014_x86_64
version() { sed -n 's/^__version__ = "\(.*\)"/\1/p' python/cloudtik/version.py; }

branch() {
  carport release branch --push
  carport release tag --push
}

wheels() {
  rm -rf clean
  mkdir clean
  git archive HEAD | tar -xf - -C clean
  sed -i "s/^__commit__ = .*/__commit__ = \"$(git rev-parse HEAD)\"/" clean/python/cloudtik/version.py
  rm -rf dist
  for python in cp38 cp39 cp310 cp311; do
    python clean/tools/build-wheel.py clean/python dist cloudtik "$(version)" "$python-$python-manylinux2014_x86_64"
  done
  rm -rf site
  uv pip install --quiet --no-index --find-links dist --target site cloudtik
  (cd site && python -m cloudtik) | grep "cloudtik $(version) of $(git rev-parse HEAD)"
  carport release put "dist/cloudtik-$(version)-*.whl" --target "$target" --tag "v$(version)" --commit "$(git rev-parse HEAD)" --notes-file CHANGELOG.md
  carport index publish
}

docker() {
  rm -rf wheels
  carport release download "v$(version)" --target "$target" --name '*-cp310-*.whl' --out wheels
  carport image publish --tag "v$(version)" \
    ${REGISTRY:+--registry global="$REGISTRY/cloudtik"} ${REGISTRY_PRC:+--registry prc="$REGISTRY_PRC/cloudtik"}
}

pypi() {
  carport release upload-pypi "v$(version)" --to "${PYPI:-https://upload.pypi.org/legacy/}"
}

case ${1-} in
  branch | wheels | docker | pypi) "$1" ;;
  *) echo "usage: release.sh branch|wheels|docker|pypi" >&2; exit 2 ;;
esac
