#!/bin/sh
# Compares protocol/ with Apache Kafka's definitions and exchanges random messages with its classes.
#
#   tests/protocol/run.sh BUILD_DIR [SEED [ROUNDS]]
#
# BUILD_DIR holds tests/wire_exchange. Maven fetches the jars into it, once. Without a SEED the
# clock gives one; it is printed. Fails where anything differs, and where a tool is missing.
set -eu

build=${1:?usage: run.sh BUILD_DIR [SEED [ROUNDS]]}
seed=${2:-$(date +%s)}
rounds=${3:-20}
here=$(cd "$(dirname "$0")" && pwd)
work=$build/protocol
jars=$work/jars

for tool in python3 java javac mvn; do
    command -v "$tool" >/dev/null || { echo "run.sh: $tool is missing" >&2; exit 1; }
done
[ -x "$build/tests/wire_exchange" ] || { echo "run.sh: $build is not built" >&2; exit 1; }

mkdir -p "$jars" "$work/classes"
path=$work/classes
arguments=
for artifact in org.apache.kafka:kafka-clients:4.3.1 \
    org.apache.kafka:kafka-group-coordinator:4.3.1 \
    org.apache.kafka:kafka-transaction-coordinator:4.3.1 \
    org.slf4j:slf4j-api:1.7.36 org.slf4j:slf4j-nop:1.7.36; do
    jar=$jars/$(echo "${artifact#*:}" | tr : -).jar
    [ -s "$jar" ] || mvn -q --batch-mode dependency:copy -DoutputDirectory="$jars" \
        -Dartifact="$artifact" >"$work/mvn.log" 2>&1 || { cat "$work/mvn.log" >&2; exit 1; }
    path=$path:$jar
    arguments="$arguments --jar $jar"
done

# shellcheck disable=SC2086  # one argument for each word
python3 "$here/compare.py" $arguments

echo "seed $seed, $rounds rounds"
javac -Xlint:all,-classfile -d "$work/classes" -classpath "$path" "$here/Exchange.java"
"$build/tests/wire_exchange" write "$work/from-c" "$seed" "$rounds"
java -classpath "$path" Exchange "$work/from-c" "$work/from-kafka" "$seed" "$rounds"
"$build/tests/wire_exchange" check "$work/from-kafka"
