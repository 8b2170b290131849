#!/bin/sh
# gates.sh regressions | llvm: what `carport release promote` asks of a candidate beside its age and its files.
set -eu

# Commands of gates have little in their environment: another place than GitHub is in the configuration of the clone.
api=$(git config release.api || echo https://api.github.com/repos/iree-org/iree)
llvm=$(git config release.llvm || echo https://github.com/llvm/llvm-project.git)

case $1 in
  regressions)
    open=$(curl --fail --silent --show-error "$api/issues?state=open&type=issues&labels=regression%2FP0" | grep -o '"title":"[^"]*"' || true)
    [ -z "$open" ] || { echo "there are regressions: $open" >&2; exit 1; }
    ;;
  llvm)
    # No cherry-picks, and nothing that upstream has not got.
    upstream=$(mktemp -d)
    trap 'rm -rf "$upstream"' EXIT
    git init --quiet --bare "$upstream"
    git -C "$upstream" fetch --quiet "$llvm" main
    commit=$(git show "$CARPORT_RELEASE_COMMIT:third_party/llvm.commit")
    git -C "$upstream" merge-base --is-ancestor "$commit" FETCH_HEAD || {
      echo "LLVM's $commit is not upstream" >&2
      exit 1
    }
    ;;
esac
