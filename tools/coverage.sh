#!/bin/sh
# coverage: which lines of src the tests in the given build folder ran, per module and file.
set -eu
build=$1
gcovr --root . --object-directory "$build" --filter 'src/' --exclude '.*_test\.c' \
    --exclude '.*_fixture\.h' --gcov-ignore-parse-errors --txt "$build/coverage.txt" --print-summary
echo "per file: $build/coverage.txt"
