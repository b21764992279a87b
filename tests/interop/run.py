#!/usr/bin/env python3
"""Real clients against the broker: builds their drivers, runs every check, writes the table.

    python3 tests/interop/run.py --server headrace|kafka [--only CLIENT,...] [--feature NAME,...]

Exits 0 only if every check ran and held. A whole run against Headrace writes docs/clients.md, or,
where the environment says CI=true, fails if that page says otherwise; any other run leaves its
table under build/interop/.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time

import checks
import checks_data
import clients
import driver
import features
import process
import properties
import raw
import report
import server
import toolchains

AT_ONCE = 2  # clients at a time: the suite is meant for two cores
PAGE = toolchains.ROOT / "docs" / "clients.md"
EXPECTED = (checks.Failure, driver.DriverError, driver.DriverLost, process.Timeout,
            raw.KafkaError, ConnectionError)


class Results:
    """What came of each check, printed as it comes."""

    def __init__(self):
        self.lock = threading.Lock()
        self.failures = {}  # (client, feature) -> None or the failure's text
        self.versions = {}

    def put(self, client, feature, failure, seconds):
        with self.lock:
            self.failures[(client, feature)] = failure
            mark = "FAIL" if failure else "ok"
            print(f"{mark:4} {client} / {feature} ({seconds:.1f} s)", flush=True)
            if failure:
                print("     " + failure.replace("\n", "\n     "), flush=True)

    def counts(self):
        failed = sum(1 for f in self.failures.values() if f)
        return len(self.failures) - failed, failed


def attempt(ctx, check):
    """Runs one check; returns the failure's text or None. No exception leaves it."""
    failure = None
    try:
        ctx.begin()
        check(ctx)
    except EXPECTED as error:
        failure = f"{type(error).__name__}: {error}"
    except Exception as error:  # pylint: disable=broad-except
        failure = f"the check itself broke: {type(error).__name__}: {error}"
    try:
        ctx.end(failure)
    except Exception as error:  # pylint: disable=broad-except
        failure = failure or f"cleaning up: {type(error).__name__}: {error}"
    return failure


def run_client(client, wanted, broker, logs, results):
    """All checks of one client, in order."""
    ctx = checks.Context(client, broker, logs)

    def describe(ctx):
        results.versions[client.name] = ctx.driver.call("describe")["version"]

    def one(name, check):
        began = time.monotonic()
        failure = attempt(ctx, check)
        results.put(client.name, name, failure, time.monotonic() - began)

    try:
        one("starts and tells its version", describe)
        for feature in features.of(client):
            if feature.name not in client.lacks and feature.name in wanted:
                one(feature.name, feature.check)
    finally:
        ctx.close()


def write_reference(broker, logs, results):
    """The batches that all clients read, by the Java client."""
    ctx = checks.Context(clients.by_name("java"), broker, logs)
    began = time.monotonic()
    try:
        failure = attempt(ctx, checks_data.write_reference)
        results.put("java", "reference batches written", failure, time.monotonic() - began)
    finally:
        ctx.close()


def run_all(chosen, wanted, broker, logs, results):
    failed = toolchains.build(["jars", "java", *(step for c in chosen for step in c.builds)])
    ready = []
    for client in chosen:
        broken = [step for step in client.builds if step in failed]
        if broken:
            results.put(client.name, "build", failed[broken[0]], 0)
        else:
            ready.append(client)
    if "jars" in failed or "java" in failed:
        return
    try:
        running = broker()
    except (OSError, RuntimeError, process.Timeout) as error:
        results.put("broker", "starts", str(error), 0)
        return
    try:
        write_reference(running, logs, results)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for done in [pool.submit(run_client, c, wanted, running, logs, results)
                         for c in ready]:
                done.result()
        stop(running, results)
    finally:
        running.child.kill()


def stop(running, results):
    code = running.stop()
    failure = None
    if code != running.exit_code:
        failure = (f"exit code: expected {running.exit_code}, got {code}: "
                   + running.child.stderr_tail())
    results.put("broker", "ends cleanly at SIGTERM", failure, 0)
    results.put("broker", "knows every property of Kafka's", properties.check(), 0)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--server", choices=("headrace", "kafka"), default="headrace")
    parser.add_argument("--binary", default=toolchains.ROOT / "build/release/headrace",
                        type=pathlib.Path, help="Headrace's binary")
    parser.add_argument("--only", help="clients, separated by commas")
    parser.add_argument("--feature", help="features, separated by commas")
    parser.add_argument("--build", action="store_true", help="build the drivers and end")
    return parser.parse_args()


def choose(args):
    known = [f.name for f in features.FEATURES]
    wanted = args.feature.split(",") if args.feature else known
    unknown = set(wanted) - set(known)
    if unknown:
        raise SystemExit(f"no feature {sorted(unknown)}; there are {', '.join(known)}")
    chosen = [clients.by_name(n) for n in args.only.split(",")] if args.only else clients.CLIENTS
    return chosen, wanted


def write_page(args, chosen, results):
    """Writes the table; where the committed one is only to be held against it, that may fail."""
    broker = "Headrace" if args.server == "headrace" else "Apache Kafka 4.3.1"
    text = report.render(broker, chosen, results.versions, results.failures)
    is_committed = args.server == "headrace" and not args.only and not args.feature
    is_checked = is_committed and os.environ.get("CI") == "true"
    page = PAGE if is_committed and not is_checked else toolchains.OUT / "clients.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text)
    print(f"table: {page.relative_to(toolchains.ROOT)}")
    if is_checked:
        found = report.differences(PAGE.read_text(), text)
        results.put("docs/clients.md", "says what this run saw", "\n".join(found) or None, 0)


def main():
    args = parse_args()
    features.verify(clients.CLIENTS)
    chosen, wanted = choose(args)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if args.build:
        failed = toolchains.build(step for c in chosen for step in c.builds)
        for name, text in failed.items():
            print(f"building {name} failed: {text}", file=sys.stderr)
        return 1 if failed else 0
    logs = toolchains.OUT / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    results = Results()
    with tempfile.TemporaryDirectory(prefix="headrace-interop-") as data:
        run_all(chosen, wanted,
                lambda: server.start(args.server, args.binary, pathlib.Path(data), logs),
                logs, results)
    write_page(args, chosen, results)
    passed, failed = results.counts()
    for (client, feature), failure in results.failures.items():
        if failure:
            print(f"failed: {client} / {feature}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
