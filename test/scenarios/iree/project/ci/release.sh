#!/bin/sh
# IREE's releases, a step a call:
#
#   release.sh green                  the newest commit of main that CI has passed
#   release.sh candidate              builds that commit, tests it, and publishes it as a candidate: CI runs it each day
#   release.sh promote CANDIDATE      makes 3.10.0 of iree-3.10.0rc20261128, when all gates are passed
set -eu

# Another place than GitHub is in the configuration of the clone.
forge=$(git config release.forge || echo https://github.com/iree-org/iree)
kind=$(git config release.forge-kind || echo github)
api=$(git config release.api || echo https://api.github.com/repos/iree-org/iree)
target=x86_64-unknown-linux-gnu

# Merged pull requests are first parents; a commit is green when all that was said of it is.
green() {
  for commit in $(git rev-list --first-parent --max-count 50 origin/main); do
    state=$(curl --fail --silent --show-error "$api/commits/$commit/status" | python -c 'import json, sys; print(json.load(sys.stdin)["state"])')
    [ "$state" != success ] || { echo "$commit"; return; }
  done
  echo "release.sh: none of the last 50 commits has passed" >&2
  return 1
}

# In a directory that has nothing but the commit. The day is read once, so that midnight is of no matter.
build() {
  rm -rf clean dist
  mkdir clean dist
  git archive "$commit" | tar -xf - -C clean
  number=$(sed -n 's/.*"package-version": "\([0-9.]*\)".*/\1/p' clean/compiler/version.json)
  version=${number}rc${DAY:-$(date -u +%Y%m%d)}
  python=$(python -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  for part in compiler runtime; do
    echo "REVISION = \"$commit\"" > "clean/$part/iree/$part/version.py"
    rm "clean/$part/version.json"
    python clean/tools/build-wheel.py "clean/$part" dist "iree-base-$part" "$version" "$python-$python-manylinux_2_28_x86_64"
  done
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r,go-w -C clean -c compiler runtime |
    xz > "dist/iree-dist-$version-linux-x86_64.tar.xz"
}

# As a user has it.
gate() {
  rm -rf site
  uv pip install --quiet --no-index --target site dist/*.whl
  said=$(cd site && python -m iree.compiler && python -c 'import iree.runtime')
  [ "$said" = "IREE compiler of $commit" ] || { echo "release.sh: the compiler says: $said" >&2; return 1; }
}

candidate() {
  commit=$(green)
  build
  gate
  name=iree-$version
  git tag "$name" "$commit"
  git push --quiet origin "$name"
  carport release put 'dist/*' --target "$target" --tag "$name" --commit "$commit"
  carport index publish
  carport release forge-publish "$name" --to "$kind" "$forge" --title "Candidate $version" --notes-from-commits
  git push --quiet --force origin "$commit:refs/heads/latest-snapshot"
}

# The gates are asked of the candidate. Its wheels then get the final version, and nothing else of them changes.
promote() {
  name=$1
  version=${name#iree-}
  final=${version%rc*}
  carport release promote "$name" --to stable --as "v$final" --dry-run
  rm -rf candidate final
  mkdir -p candidate final
  carport release download "$name" --target "$target" --out candidate
  carport release wheel-retag 'candidate/*.whl' --version "$final" --out final
  cp "candidate/iree-dist-$version-linux-x86_64.tar.xz" "final/iree-dist-$final-linux-x86_64.tar.xz"
  commit=$(git rev-parse "$name^{commit}")
  git checkout --quiet --detach "$commit"
  carport release tag "v$final" --push
  carport release put 'final/*' --target "$target" --tag "v$final" --commit "$commit" --notes-file CHANGELOG.md
  carport index publish
  carport release forge-publish "v$final" --to "$kind" "$forge" --title "Release $final"
}

case ${1-} in
  green | candidate) "$1" ;;
  promote) promote "${2:?is to be the candidate}" ;;
  *) echo "usage: release.sh green|candidate|promote CANDIDATE" >&2; exit 2 ;;
esac
