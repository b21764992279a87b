#!/usr/bin/env python3
"""Events on their way to HTTP handlers, as processes of a flow on a real engine deliver them.

    deliver.py [--binary FILE] [--engine headrace|kafka] [TEST...]
"""

import collections
import json
import pathlib
import ssl
import subprocess
import sys
import threading
import time

import place
from place import answer, echo


def many(count, keys=20):
    return [(f"k{i % keys}", {"key": f"k{i % keys}", "n": i}) for i in range(count)]


class Calls(place.FlowCase):
    """What a handler is called with, and what its answers mean."""

    def test_plain_record_is_wrapped_and_its_answer_emitted(self):
        endpoint = self.endpoint()
        self.start(self.write([f"call: {endpoint.url}reserve", "emits: done",
                               "bearer: s3cret"]))
        self.send([("a", {"n": 1})])
        result = self.wait_results(1)[0]
        request = endpoint.requests[0]
        self.assertEqual(request.path, "/reserve")
        self.assertEqual(request.data(), {"n": 1})
        topic, partition, offset = request.at()
        self.assertEqual(topic, self.topic("things"))
        self.assertEqual(request.headers["ce-specversion"], "1.0")
        self.assertEqual(request.headers["ce-type"], "made")
        self.assertEqual(request.headers["ce-source"], "/" + topic)
        self.assertEqual(request.headers["ce-id"], f"{topic}-{partition}-{offset}")
        self.assertEqual(request.headers["content-type"], "application/json")
        self.assertEqual(request.headers["headrace-attempt"], "1")
        self.assertEqual(request.headers["authorization"], "Bearer s3cret")
        self.assertGreater(int(request.headers["headrace-generation"]), 0)
        headers = self.headers(result)
        self.assertEqual((result["key"], json.loads(result["value"])), ("a", {"n": 1}))
        self.assertEqual(headers["ce_type"], "done")
        self.assertEqual(headers["ce_source"], f"/{self.name}/h")
        self.assertEqual(headers["ce_causationid"], request.headers["ce-id"])

    def test_answers_hold_no_event_one_or_a_batch(self):
        batch = json.dumps([{"specversion": "1.0", "id": "x", "source": "/y", "type": kind,
                             "data": {"n": n}} for kind, n in (("done", 1), ("other", 2))]).encode()
        answers = {
            "none": answer(204),
            "binary": answer(200, b'{"n":3}', ce_type="other", ce_id="x", ce_source="/y",
                             ce_specversion="1.0", ce_note="%C3%A9 %25",
                             content_type="application/json"),
            "structured": answer(200, json.dumps(
                {"specversion": "1.0", "id": "x", "source": "/y", "type": "done",
                 "data": {"n": 4}}).encode(), content_type="application/cloudevents+json"),
            "batch": answer(202, batch, content_type="application/cloudevents-batch+json"),
            "undeclared": answer(200, b"{}", ce_type="secret", ce_id="x", ce_source="/y",
                                 ce_specversion="1.0"),
            "broken": answer(200, b"[1", content_type="application/cloudevents+json"),
            "ambiguous": answer(200, b"{}", content_type="application/json"),
        }
        endpoint = self.endpoint(lambda request: answers[request.data()["want"]])
        self.start(self.write([f"call: {endpoint.url}", "emits: [done, other]"]))
        self.send([(want, {"want": want}) for want in answers])
        self.wait(lambda: len(self.dead()) == 3, "three dead letters")
        self.wait(lambda: len(self.read(self.topic("others"))) == 2, "two others")
        self.assertEqual(sorted(self.numbers(self.results())), [1, 4])
        others = {json.loads(r["value"])["n"]: self.headers(r)
                  for r in self.read(self.topic("others"))}
        self.assertEqual(sorted(others), [2, 3])
        self.assertEqual(others[3]["ce_note"], "\u00e9 %")
        words = {json.loads(r["value"])["want"]: self.headers(r) for r in self.dead()}
        self.assertEqual({words[want]["__dlq.errors.class"] for want in words}, {"contract"})
        self.assertIn("emitted secret, which its emits does not name",
                      words["undeclared"]["__dlq.errors.message"])
        self.assertIn("no JSON object", words["broken"]["__dlq.errors.message"])
        self.assertIn("may emit several", words["ambiguous"]["__dlq.errors.message"])

    def test_tls_with_a_certificate_of_each_side(self):
        folder = pathlib.Path(self.data)
        for name in ("server", "client"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                            "-days", "2", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=DNS:localhost",
                            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"],
                           check=True, capture_output=True)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "client.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        endpoint = self.endpoint()
        endpoint.server.socket = context.wrap_socket(endpoint.server.socket, server_side=True)
        sides = f"certificate: {folder}/client.pem, key: {folder}/client.key"
        handler = [f"call: https://localhost:{endpoint.port}/", "emits: done"]
        flow = self.start(self.write([*handler, "circuit: {failures: 1}",
                                      f"tls: {{{sides}}}"]))  # nobody vouches for the server
        self.send(many(3))
        self.wait(lambda: "the circuit is open" in self.said(flow), "an open circuit")
        self.stop(flow)
        self.start(self.write([*handler, f"tls: {{ca: {folder}/server.pem, {sides}}}"]))
        self.wait_results(3)
        self.assertEqual(self.dead(), [])

    def test_where_lets_some_events_through(self):
        endpoint = self.endpoint()
        self.start(self.write([f"call: {endpoint.url}", "emits: done",
                               "where: n % 3 = 0 AND data ->> '$.in.deep' = 'yes'"]))
        self.send([("a", {"n": n, "in": {"deep": deep}}) for n in range(20)
                   for deep in ("yes", "no")] + [("b", {"n": 3, "in": "flat"}), ("c", [1])])
        self.assertEqual(sorted(self.numbers(self.wait_results(7))), [0, 3, 6, 9, 12, 15, 18])
        self.wait(lambda: self.lag() == 0, "no lag")
        self.assertEqual(endpoint.count(), 7)

    def test_structured_mode(self):
        endpoint = self.endpoint(lambda request: answer(204))
        self.start(self.write([f"call: {endpoint.url}", "mode: structured"]))
        self.send([("a", {"n": 12345678901234567890123})])
        self.wait(endpoint.count, "a call")
        request = endpoint.requests[0]
        self.assertTrue(request.headers["content-type"].startswith("application/cloudevents+json"))
        event = request.data()
        self.assertEqual(event["specversion"], "1.0")
        self.assertEqual(event["type"], "made")
        self.assertEqual(event["data"], {"n": 12345678901234567890123})

    def test_failures_are_retried_and_rejections_are_not(self):
        tries = collections.defaultdict(list)

        def decide(request):
            want = request.data()["want"]
            tries[want].append(time.monotonic())
            if want == "later" and len(tries[want]) == 1:
                return answer(429, b"", Retry_After="2")
            if want.isdigit() and len(tries[want]) < 3 and want not in ("400", "404", "422"):
                return answer(int(want), b"try again")
            if want in ("400", "404", "422"):
                return answer(int(want), b"no such thing")
            if want == "never":
                return answer(500)
            return echo(request)

        endpoint = self.endpoint(decide)
        self.start(self.write([f"call: {endpoint.url}", "emits: done",
                               "circuit: {failures: 1000}",
                               "retry: {attempts: 3, backoff: 20ms, max: 100ms}"]))
        retried = ["408", "425", "429", "500", "502", "503", "504"]
        self.send([(want, {"want": want}) for want in
                   [*retried, "400", "404", "422", "later", "never"]])
        self.wait_results(len(retried) + 1)
        self.wait(lambda: len(self.dead()) == 4, "four dead letters")
        for want in retried:
            self.assertEqual(len(tries[want]), 3, want)
        self.assertGreaterEqual(tries["later"][1] - tries["later"][0], 2)
        self.assertEqual(len(tries["never"]), 3)
        words = {json.loads(r["value"])["want"]: self.headers(r) for r in self.dead()}
        self.assertEqual(sorted(words), ["400", "404", "422", "never"])
        self.assertEqual(words["404"]["__dlq.errors.class"], "http-404")
        self.assertEqual(words["404"]["__dlq.errors.message"], "HTTP status 404: no such thing")
        self.assertEqual(words["404"]["__dlq.errors.delivery.count"], "1")
        self.assertEqual(words["never"]["__dlq.errors.delivery.count"], "3")
        self.assertEqual(words["never"]["__dlq.errors.topic"], self.topic("things"))
        self.assertEqual(words["never"]["__dlq.errors.group"], f"{self.name}.h")

    def test_calls_that_take_too_long_are_given_up(self):
        release = threading.Event()
        self.addCleanup(release.set)

        def decide(request):
            if request.data()["n"] == 0:
                release.wait(20)
            return echo(request)

        endpoint = self.endpoint(decide)
        self.start(self.write([f"call: {endpoint.url}", "emits: done", "timeout: 300ms",
                               "retry: {attempts: 2, backoff: 10ms, max: 20ms}"]))
        self.send(many(30))
        self.wait(lambda: len(self.dead()) == 1, "a dead letter")
        self.assertEqual(sorted(self.numbers(self.wait_results(29))), list(range(1, 30)))
        self.assertEqual(self.headers(self.dead()[0])["__dlq.errors.class"], "timeout")

    def test_outage_dead_letters_nothing(self):
        port = place.process.free_port()
        self.start(self.write([f"call: http://127.0.0.1:{port}/", "emits: done",
                               "retry: {attempts: 2, backoff: 10ms, max: 50ms}",
                               "circuit: {failures: 3, open: 500ms}"]))
        self.send(many(50))
        self.wait(lambda: "the circuit is open, nothing is called for 500 ms: Failed to connect"
                  in self.said(self.flows[0]), "an open circuit")
        endpoint = self.endpoint(port=port)
        self.wait_results(50)
        self.assertEqual(self.dead(), [])
        self.assertIn("the circuit is closed", self.said(self.flows[0]))
        self.assertEqual(endpoint.overlaps, [])


CHILD = """
import json, sys, time
print("it begins", file=sys.stderr, flush=True)
for line in sys.stdin:
    event = json.loads(line)
    data = event["data"]
    want = data.get("want")
    if want == "crash":
        sys.exit(3)
    if want == "hang":
        time.sleep(60)
    if want == "stray":
        print("hello", flush=True)
    answer = {"id": event["id"]}
    if want == "reject":
        answer.update(status=422, message="not so")
    elif want == "retry" and not data.get("n"):
        answer.update(status=503)
    else:
        answer["events"] = [{"specversion": "1.0", "id": "x", "source": "/y", "type": "done",
                             "data": data}]
    print(json.dumps(answer), flush=True)
print("it ends", file=sys.stderr, flush=True)
"""


class Children(place.FlowCase):
    """Handlers that are a child process."""

    def start_child(self, *lines):
        path = pathlib.Path(self.data) / f"{self.name}.py"
        path.write_text(CHILD, encoding="utf-8")
        return self.start(self.write([f"exec: {sys.executable} {path}", "emits: done",
                                      "circuit: {failures: 1000}",
                                      "retry: {attempts: 3, backoff: 10ms, max: 20ms}", *lines]))

    def test_lines_go_there_and_back(self):
        flow = self.start_child()
        self.send(many(500))
        results = self.wait_results(500)
        self.assertEqual(sorted(self.numbers(results)), list(range(500)))
        self.stop(flow)
        self.assertIn("h: it begins", self.said(flow))
        self.assertIn("h: it ends", self.said(flow))  # at the end of its input

    def test_only_crashing_alone_costs_an_attempt(self):
        flow = self.start_child("concurrency: 8")
        self.send(many(40) + [("bad", {"want": "crash"})] + many(40, keys=7))
        self.wait(lambda: len(self.dead()) == 1, "a dead letter")
        self.wait_results(80)
        words = self.headers(self.dead()[0])
        self.assertEqual(words["__dlq.errors.class"], "crash")
        self.assertEqual(words["__dlq.errors.message"], "its process died of it: exit code 3")
        self.assertEqual(words["__dlq.errors.delivery.count"], "3")
        self.assertIn("its process has ended: exit code 3", self.said(flow))

    def test_child_that_hangs_is_replaced(self):
        self.start_child("timeout: 1s", "concurrency: 4")
        self.send(many(10) + [("bad", {"want": "hang"})] + many(10))
        self.wait(lambda: len(self.dead()) == 1, "a dead letter")
        self.wait_results(20)
        self.assertEqual(self.headers(self.dead()[0])["__dlq.errors.class"], "timeout")

    def test_status_and_stray_lines(self):
        flow = self.start_child()
        self.send([("a", {"want": "reject"}), ("b", {"want": "retry"}), ("c", {"want": "stray"})])
        self.wait(lambda: len(self.dead()) == 2, "two dead letters")
        self.wait_results(1)
        words = {json.loads(r["value"])["want"]: self.headers(r) for r in self.dead()}
        self.assertEqual(words["reject"]["__dlq.errors.message"], "not so")
        self.assertEqual(words["reject"]["__dlq.errors.class"], "status-422")
        self.assertEqual(words["retry"]["__dlq.errors.delivery.count"], "3")
        self.assertIn("a line on its standard output is no answer: hello", self.said(flow))

    def test_command_that_is_not_there_costs_nothing(self):
        path = self.write(["exec: /nowhere/at-all", "emits: done",
                           "retry: {attempts: 2, backoff: 10ms, max: 20ms}"])
        flow = self.start(path)
        self.send(many(5))
        self.wait(lambda: "the circuit is open" in self.said(flow), "an open circuit")
        self.assertEqual(self.dead(), [])


LIBRARY = r"""
#include <headrace/handler.h>
#include <string.h>

HEADRACE_HANDLERS

headrace_handler check;

int check(const struct headrace_event *event, struct headrace_answer *answer)
{
    struct headrace_bytes want = event->key;
    if (want.size == 6 && memcmp(want.bytes, "reject", 6) == 0)
        return headrace_reject(answer, "not so");
    if (want.size == 5 && memcmp(want.bytes, "retry", 5) == 0 && event->attempt < 3)
        return headrace_retry(answer, "not yet");
    if (want.size == 4 && memcmp(want.bytes, "both", 4) == 0)
        (void)headrace_emit(answer, "other", event->id.bytes, event->id.size);
    return headrace_emit(answer, "done", event->data.bytes, event->data.size);
}
"""


class Libraries(place.FlowCase):
    """Handlers that are a C function."""

    def build(self, text=LIBRARY):
        source = pathlib.Path(self.data) / f"{self.name}.c"
        source.write_text(text, encoding="utf-8")
        library = source.with_suffix(".so")
        subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I",
                        place.ROOT / "include", "-o", library, source], check=True)
        return library

    def test_function_emits_retries_and_rejects(self):
        self.start(self.write([f"library: {self.build()}", "function: check",
                               "emits: [done, other]",
                               "retry: {attempts: 3, backoff: 5ms, max: 10ms}"]))
        self.send([(key, {"n": n}) for n, key in enumerate(("plain", "reject", "retry", "both"))])
        self.send([(f"k{n}", {"n": n}) for n in range(4, 3000)])
        results = self.wait_results(2999)
        self.assertEqual(sorted(self.numbers(results)), [0, *range(2, 3000)])
        self.wait(lambda: len(self.dead()) == 1, "a dead letter")
        self.assertEqual(self.headers(self.dead()[0])["__dlq.errors.message"], "not so")
        self.assertEqual(len(self.read(self.topic("others"))), 1)

    def test_library_that_cannot_be_loaded_is_told(self):
        for text, words in ((LIBRARY.replace("HEADRACE_HANDLERS", ""), "HEADRACE_HANDLERS"),
                            (LIBRARY, "no function handle")):
            path = self.write([f"library: {self.build(text)}", "emits: done"])
            done = subprocess.run([place.Settings.binary, "flow", "run", path, "--bootstrap",
                                   self.engine.bootstrap], capture_output=True, text=True,
                                  timeout=60, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("handler h: ", done.stderr)
            self.assertIn(words, done.stderr)


class Beginnings(place.FlowCase):
    """What flow init writes runs as it is."""

    def begin(self, language):
        folder = str(pathlib.Path(self.data) / language)
        said = subprocess.run([place.Settings.binary, "flow", "init", "--lang", language, folder],
                              capture_output=True, text=True, check=True).stdout
        self.assertIn("headrace flow run flow.yaml", said)
        if language == "c":
            subprocess.run(["make", "-s", "-C", folder], check=True)
        flow = self.start(str(pathlib.Path(folder) / "flow.yaml"), folder)
        self.call("produce", "greetings", stdin=json.dumps({"name": language}) + "\n")
        self.wait(lambda: [r for r in self.read("answers") if language in r["value"]], "an answer")
        self.stop(flow)

    def test_init_python(self):
        self.begin("python")

    def test_init_node(self):
        self.begin("node")

    def test_init_c(self):
        self.begin("c")

    def test_init_writes_nothing_over(self):
        folder = pathlib.Path(self.data) / "kept"
        folder.mkdir()
        (folder / "handler.py").write_text("mine", encoding="utf-8")
        done = subprocess.run([place.Settings.binary, "flow", "init", str(folder)],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("handler.py is there already", done.stderr)
        self.assertEqual((folder / "handler.py").read_text(encoding="utf-8"), "mine")


class Processes(place.FlowCase):
    """Several processes, and what happens when one of them goes."""

    def assert_in_order(self, results):
        """Of each key, its results in the order of its events."""
        last = {}
        for record in results:
            number = json.loads(record["value"])["n"]
            self.assertGreater(number, last.get(record["key"], -1))
            last[record["key"]] = number

    def slow(self, request):
        time.sleep(0.02)
        return echo(request)

    def test_one_key_at_a_time_in_order_and_others_in_parallel(self):
        endpoint = self.endpoint(self.slow)
        self.start(self.write([f"call: {endpoint.url}", "emits: done", "concurrency: 16"],
                              partitions=1))
        begin = time.monotonic()
        self.send(many(400))
        results = self.wait_results(400)
        self.assertLess(time.monotonic() - begin, 400 * 0.02)  # one after the other
        self.assertEqual(endpoint.overlaps, [])
        self.assert_in_order(results)
        self.assertLessEqual(endpoint.connections, 16)  # they are kept

    def test_order_none_holds_nobody_back(self):
        endpoint = self.endpoint(self.slow)
        self.start(self.write([f"call: {endpoint.url}", "emits: done", "order: none"],
                              partitions=1))
        self.send([("same", {"key": "same", "n": i}) for i in range(100)])
        self.wait_results(100)
        self.assertNotEqual(endpoint.overlaps, [])

    def test_processes_share_and_hand_over_without_a_second_call(self):
        endpoint = self.endpoint(self.slow)
        path = self.write([f"call: {endpoint.url}", "emits: done"], partitions=6)
        first = self.start(path)
        sent = 50
        self.send(many(50))
        self.wait_results(50)
        second = self.start(path)

        def generations():
            nonlocal sent
            self.send(many(50))
            sent += 50
            return len({r.headers["headrace-generation"] for r in endpoint.requests}) > 1

        self.wait(generations, "calls of a second generation")
        self.send(many(600))
        took = self.stop(first)
        self.assertLess(took, 5)
        self.send(many(100))
        results = self.wait_results(sent + 700)
        self.assertEqual(len(results), sent + 700)
        self.assertEqual(endpoint.count(), sent + 700)
        self.assertEqual(endpoint.overlaps, [])
        self.stop(second)

    def test_killed_process_is_replaced_and_its_results_are_there_once(self):
        endpoint = self.endpoint(self.slow)
        path = self.write([f"call: {endpoint.url}", "emits: done"], partitions=3)
        first = self.start(path)
        second = self.start(path)
        self.send(many(1000))
        self.wait(lambda: endpoint.count() > 200, "calls")
        first.kill()
        begin = time.monotonic()
        self.send(many(200))
        results = self.wait_results(1200)
        self.assertLess(time.monotonic() - begin, place.TAKE_OVER_S)
        self.assertEqual(sorted(self.numbers(results)), sorted([*range(1000), *range(200)]))
        self.stop(second)

    def test_event_that_waits_long_is_parked_and_outlives_its_process(self):
        tries = []

        def decide(request):
            if request.data()["key"] != "late":
                return echo(request)
            tries.append((time.monotonic(), request.data()["n"],
                          request.headers["headrace-attempt"]))
            if request.data()["n"] == 0 and len(tries) == 1:
                return answer(503, b"", Retry_After="7")
            return echo(request)

        endpoint = self.endpoint(decide)
        path = self.write([f"call: {endpoint.url}", "emits: done"], partitions=1)
        first = self.start(path)
        self.send([("late", {"key": "late", "n": 0}), ("late", {"key": "late", "n": 1})])
        self.wait(lambda: tries, "a call")
        self.send(many(50))
        self.wait_results(50)
        self.wait(lambda: self.lag() == 0, "no lag")  # nothing holds the offset
        first.kill()
        second = self.start(path)
        self.send([("late", {"key": "late", "n": 2})])
        late = [json.loads(r["value"])["n"] for r in self.wait_results(53) if r["key"] == "late"]
        self.assertEqual(late, [0, 1, 2])
        self.assertEqual([(n, attempt) for _, n, attempt in tries],
                         [(0, "1"), (0, "2"), (1, "1"), (2, "1")])
        self.assertGreaterEqual(tries[1][0] - tries[0][0], 7)
        self.stop(second)

    def test_event_that_comes_twice_is_done_once_whoever_does_it(self):
        endpoint = self.endpoint()
        path = self.write([f"call: {endpoint.url}", "emits: done", "inbox: 10m"], partitions=3)
        first = self.start(path)
        self.send_events([(f"k{n % 5}", f"id{n}", {"n": n}) for n in range(40)])
        self.wait_results(40)
        first.kill()
        second = self.start(path)
        self.send_events([(f"k{n % 5}", f"id{n}", {"n": n}) for n in range(60)])
        self.wait(lambda: self.lag() == 0, "no lag")
        self.assertEqual(sorted(self.numbers(self.results())), list(range(60)))
        self.assertEqual(endpoint.count(), 60)
        self.stop(second)
        self.assertIn(" 40 of them done before", self.said(second))

    def test_at_least_once_loses_nothing(self):
        endpoint = self.endpoint()
        path = self.write([f"call: {endpoint.url}", "emits: done", "guarantee: at-least-once"])
        first = self.start(path)
        self.send(many(500))
        self.wait(lambda: endpoint.count() > 100, "calls")
        first.kill()
        second = self.start(path)
        self.wait(lambda: set(self.numbers(self.results())) == set(range(500)), "all results")
        self.stop(second)

    def test_what_was_done_is_not_done_again_after_a_restart(self):
        release = threading.Event()
        self.addCleanup(release.set)

        def decide(request):
            if request.data()["n"] == 0 and request.headers["headrace-attempt"] == "1":
                release.wait(20)
            return echo(request)

        endpoint = self.endpoint(decide)
        path = self.write([f"call: {endpoint.url}", "emits: done"], partitions=1)
        first = self.start(path)
        self.send(many(300))
        self.wait_results(285)  # all but those of the key that waits
        first.kill()
        release.set()
        self.start(path)
        results = self.wait_results(300)
        self.assertEqual(sorted(self.numbers(results)), list(range(300)))
        self.assertLessEqual(endpoint.count(), 301)

    def test_stop_waits_for_calls_and_is_quick_without(self):
        endpoint = self.endpoint(self.slow)
        flow = self.start(self.write([f"call: {endpoint.url}", "emits: done"]))
        self.send(many(10))
        self.wait_results(10)
        self.assertLess(self.stop(flow), 2)
        self.assertIn("h: ended: 10 events done, 0 of them done before, 0 passed over, 0 parked, "
                      "0 calls failed, 0 dead letters, 10 records written", self.said(flow))


if __name__ == "__main__":
    place.main(__name__)
