#!/bin/sh
# Installs what the replay needs and runs it on the given binary: what `make run` calls.
set -eu
binary=$(realpath "$1")
here=$(dirname "$0")
stamp=$here/node_modules/.package-lock.json
if [ ! -e "$stamp" ] || [ "$here/package-lock.json" -nt "$stamp" ]; then
    npm ci --prefix "$here" --no-audit --no-fund --loglevel=error
fi
exec node "$here/replay.mjs" --headrace "$binary"
