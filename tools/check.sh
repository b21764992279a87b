#!/bin/sh
# check: what every commit must pass, in under a minute. $1: the build folder.
set -eu
build=$1
git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
python3 tools/tidy.py
python3 tools/tidy_test.py
ctest --test-dir "$build" -L unit -j "$(nproc)" --progress
tools/lint.sh "$build" changed
