#!/bin/sh
# Installs what the interop suite needs and this machine lacks: compilers, interpreters, kcat and
# Debian's librdkafka. The clients themselves are fetched by run.py at their pinned versions.
set -eu

go_minor=26
go_toolchain=v0.0.1-go1.26.8.linux-$(dpkg --print-architecture)
cargo_minor=85
node_major=18
root=$(cd "$(dirname "$0")/../.." && pwd)
missing=

need() { # need COMMAND PACKAGE...: the packages unless the command is there
    command -v "$1" >/dev/null 2>&1 && return
    shift
    missing="$missing $*"
}

need_package() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'install ok installed' ||
        missing="$missing $1"
}

minor() { # minor COMMAND...: the second number of the first version it prints, or 0
    "$@" 2>/dev/null | sed -n 's/[^0-9]*[0-9][0-9]*\.\([0-9][0-9]*\).*/\1/p;q' | grep . || echo 0
}

need python3 python3
need gcc gcc libc6-dev
need g++ g++
need make make
need javac openjdk-17-jdk-headless
need mvn maven
need kcat kcat
need node nodejs
need npm npm
need go golang-go
for package in python3-venv librdkafka-dev libjansson-dev zlib1g-dev pkg-config ca-certificates; do
    need_package "$package"
done
if [ "$(minor cargo --version)" -lt "$cargo_minor" ]; then
    missing="$missing cargo-web rustc-web"
fi

if [ -n "$missing" ]; then
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    echo "installing:$missing" >&2
    $as_root apt-get update -qq
    # shellcheck disable=SC2086  # a list of packages
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing
fi

node_found=$(node --version | sed 's/v\([0-9]*\).*/\1/')
if [ "$node_found" -lt "$node_major" ]; then
    echo "node $node_found is too old: $node_major or newer is needed" >&2
    exit 1
fi

# Debian's Go is older than the clients ask for. Newer ones are published as a Go module, which
# `go mod download` checks against the checksum database.
target=$root/build/interop/go-toolchain
if [ "$(minor go version)" -lt "$go_minor" ] && [ ! -x "$target/bin/go" ]; then
    echo "fetching Go: $go_toolchain" >&2
    from=$(GOFLAGS=-modcacherw go mod download -json "golang.org/toolchain@$go_toolchain" |
        sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    mkdir -p "$root/build/interop"
    rm -rf "$target.part"
    cp -r "$from" "$target.part"
    chmod -R u+w "$target.part"
    chmod +x "$target.part"/bin/* "$target.part"/pkg/tool/*/* 2>/dev/null || true
    chmod +x "$target.part/bin/go"
    mv "$target.part" "$target"
fi
