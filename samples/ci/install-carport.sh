#!/bin/sh
# Installs carport where npm installs programs; where there is one already it does nothing. It takes git, Node 20.19 or
# later, Python and a C++ compiler, which the images `node:…-bookworm` have.
#
# Each job that publishes fetches and builds carport anew, which takes a minute or more. An image that has it saves that:
# make it from the Dockerfile beside this script, and name it in the place of `node:…-bookworm` in jobs that publish.
#
# carport is in no registry yet, so it comes from its sources: give their address, and the commit that you have looked
# at. What runs here sees the key of your releases, so a tag, which can be moved, will not do.
set -eu

sources=https://git.example.org/carport/carport.git
commit=0123456789abcdef0123456789abcdef01234567

if ! command -v carport > /dev/null; then
  # It stays: npm links to it.
  checkout=$(mktemp -d)
  cd "$checkout"
  git init --quiet
  git fetch --quiet --depth 1 "$sources" "$commit"
  git checkout --quiet FETCH_HEAD
  # Takes what the lock file names, and checks its hashes; then it builds carport.
  npm ci --no-audit --no-fund
  npm install --global --ignore-scripts --no-audit --no-fund "$checkout"
fi
carport --version
