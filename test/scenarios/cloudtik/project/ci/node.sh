#!/bin/sh
# node.sh head|worker|status VERSION HEAD: what a node of a cluster does when it starts. CloudTik is taken from the index, and, where
# that has no such version or is away, from the mirror.
set -eu
role=$1 version=$2 head=$3

if [ "$role" != status ]; then
  python=$(python -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  install() { pip install --quiet --no-compile --no-deps --retries 0 --timeout 5 --target "$NODE/site" "$@"; }
  install --index-url "$INDEX" "cloudtik==$version" ||
    install "$MIRROR/_releases/v$version/manylinux2014_x86_64/cloudtik-$version-$python-$python-manylinux2014_x86_64.whl"
fi
PYTHONPATH=$NODE/site exec python -m cloudtik.cluster "$role" "$head"
