#!/bin/sh
# lint: clang-tidy over the sources. $1: the build folder; $2: "all", or "changed" against HEAD~1.
set -eu
build=$1
case $2 in
all) files=$(git ls-files 'src/*.c') ;;
*) files=$( (git diff --name-only HEAD~1 -- 'src/*.c' 2>/dev/null;
             git ls-files --others --exclude-standard 'src/*.c') | sort -u) ;;
esac
present=""
for file in $files; do
    [ -f "$file" ] && present="$present $file"
done
[ -n "$present" ] || exit 0
# gcc's own warning flags mean nothing to clang-tidy's parser.
echo $present | xargs -n 4 -P "$(nproc)" clang-tidy --quiet -p "$build" \
    --extra-arg=-Wno-unknown-warning-option
