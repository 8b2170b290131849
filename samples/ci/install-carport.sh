#!/bin/sh
# Installs carport where npm installs programs. It takes git, Node 20.19 or later, Python and a C++ compiler, which the
# images `node:…-bookworm` have.
#
# carport is in no registry yet, so it comes from its sources: give their address, and the commit that you have looked
# at. What runs here sees the key of your releases, so a tag, which can be moved, will not do.
set -eu

sources=https://git.example.org/carport/carport.git
commit=0123456789abcdef0123456789abcdef01234567

# It stays: npm links to it.
checkout=$(mktemp -d)
cd "$checkout"
git init --quiet
git fetch --quiet --depth 1 "$sources" "$commit"
git checkout --quiet FETCH_HEAD
# Takes what the lock file names, and checks its hashes; then it builds carport.
npm ci --no-audit --no-fund
npm install --global --ignore-scripts --no-audit --no-fund "$checkout"
carport --version
