#!/bin/sh
# Stands for the tests.
set -eu
[ "$(cat VERSION)" = "$(sed -n 's/^FAASM_VERSION=//p' .env)" ]
! grep -rq 'TODO before merge' docker
