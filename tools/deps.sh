#!/bin/sh
# deps: brings in what building and testing Headrace needs, where it is missing.
#
# Debian's packages come by apt-get, which needs root only while something is missing. librdkafka
# comes from the system where that has 2.12 or newer; otherwise the source inside npm's
# node-rdkafka is built once into .deps/rdkafka/, statically and without TLS, SASL and HTTP, which
# nothing uses yet and which would cost memory and start-up time.
#
# librdkafka 2.12.0 includes curl's header even when built without curl, hence that package.
#
# Quiet and quick when there is nothing to do. Messages go to standard error.
set -eu
cd "$(dirname "$0")/.."

PACKAGES="gcc g++ libc6-dev make cmake ninja-build pkg-config python3 clang clang-format clang-tidy
libcmocka-dev libisal-dev libzstd-dev liblz4-dev libsnappy-dev zlib1g-dev libmicrohttpd-dev
libpcre2-dev libfyaml-dev libsimdjson-dev libclang-rt-14-dev libcurl4-openssl-dev libsqlite3-dev
gcovr openssl python3-yaml python3-jsonschema zsh fish util-linux"

RDKAFKA_VERSION_MIN=2.12.0
RDKAFKA_PACKAGE=node-rdkafka@3.6.1 # carries librdkafka 2.12.0
RDKAFKA_SHA512=b1fa536eb4f7e78dbd72cd1113c61bf5abc65fd062451be957b6b0790b2084a4
RDKAFKA_SHA512=${RDKAFKA_SHA512}e3b6b5593f78c1aca38f22d59702a1dbf1da328774a4b86b945412e08a0d5246
RDKAFKA_HOME=.deps/rdkafka

say() {
    echo "deps: $*" >&2
}

fail() {
    say "$*"
    exit 1
}

has_package() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        fail "missing and only root can install them:$missing"
    fi
}

install_packages() {
    missing=
    for package in $PACKAGES; do
        has_package "$package" || missing="$missing $package"
    done
    # Node itself need not be Debian's.
    command -v npm >/dev/null 2>&1 || missing="$missing npm"
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 || fail "this is not Debian; please install:$missing"
    say "installing$missing"
    as_root apt-get update -q >&2
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing >&2
}

# Fetches and checks the source, builds and installs it into $1. One chain, because `if` switches
# `set -e` off.
build_rdkafka() {
    npm pack --silent --pack-destination "$1" "$RDKAFKA_PACKAGE" &&
        echo "$RDKAFKA_SHA512  $(ls "$1"/*.tgz)" | sha512sum --check --quiet - &&
        tar -xzf "$1"/*.tgz -C "$1" package/deps/librdkafka &&
        cmake -S "$1/package/deps/librdkafka" -B "$1/build" -G Ninja \
            -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$1/home" \
            -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
            -DCMAKE_C_FLAGS="-ffunction-sections -fdata-sections -fstack-protector-strong" \
            -DRDKAFKA_BUILD_STATIC=ON -DRDKAFKA_BUILD_EXAMPLES=OFF -DRDKAFKA_BUILD_TESTS=OFF \
            -DWITH_SSL=OFF -DWITH_SASL=OFF -DWITH_CURL=OFF -DWITH_PLUGINS=OFF \
            -DWITH_LIBDL=OFF -DENABLE_LZ4_EXT=ON -DWITH_ZLIB=ON -DWITH_ZSTD=ON &&
        cmake --build "$1/build" --target install
}

install_rdkafka() {
    ! pkg-config --atleast-version="$RDKAFKA_VERSION_MIN" rdkafka 2>/dev/null || return 0
    ! grep -qsx "$RDKAFKA_PACKAGE" "$RDKAFKA_HOME/package" || return 0
    say "building librdkafka, which takes a minute or two"
    mkdir -p .deps
    work=$(mktemp -d "$PWD/.deps/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    if ! build_rdkafka "$work" >"$work/log" 2>&1; then
        tail -n 30 "$work/log" >&2
        fail "librdkafka could not be built"
    fi
    echo "$RDKAFKA_PACKAGE" >"$work/home/package"
    rm -rf "$RDKAFKA_HOME"
    mv "$work/home" "$RDKAFKA_HOME"
}

install_packages
install_rdkafka
