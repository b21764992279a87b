"""What live flow tests share: an engine, flows that run on it, and endpoints that they call.

The engine is Headrace or Apache Kafka, said by --engine; everything goes through the command line
and plain HTTP, so no test knows which one it is.
"""

import http.server
import json
import pathlib
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("tests/support", "tests/interop"):
    sys.path.insert(0, str(ROOT / folder))
import broker  # noqa: E402
import process  # noqa: E402

WAIT_S = 40
TAKE_OVER_S = 25


class Settings:
    """Of the run: set once from the command line."""

    binary = str(ROOT / "build/release/headrace")
    engine = "headrace"


class HeadraceEngine:
    """Headrace on a folder of its own."""

    def __init__(self, data):
        self.broker = broker.Broker(Settings.binary, data)
        self.bootstrap = "{}:{}".format(*self.broker.address)

    def stop(self):
        self.broker.stop()


class KafkaEngine:
    """One node of Apache Kafka."""

    def __init__(self, data):
        import kafka_node
        self.node = kafka_node.KafkaNode(pathlib.Path(data))
        self.bootstrap = f"{self.node.host}:{self.node.port}"

    def stop(self):
        self.node.stop()


class Request:
    """What an endpoint was called with."""

    def __init__(self, handler, body):
        self.path = handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = body
        self.begin = time.monotonic()

    def data(self):
        return json.loads(self.body)

    def at(self):
        """Where the event was read."""
        return tuple(self.headers["headrace-" + name] for name in ("topic", "partition", "offset"))


def answer(status=200, body=b"", **headers):
    """An endpoint's answer; in names of headers _ is -."""
    return status, body, {name.replace("_", "-"): value for name, value in headers.items()}


def echo(request):
    """The event's data as an event."""
    return answer(200, request.body, content_type="application/json")


class Endpoint:
    """An HTTP server on the loopback. decide(request) gives the answer; requests are kept."""

    def __init__(self, decide=echo, port=0):
        self.decide = decide
        self.requests = []
        self.lock = threading.Lock()
        self.running = {}  # key: calls under way
        self.overlaps = []
        self.connections = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                outer.connections += 1

            def do_POST(self):
                outer.serve(self)

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 512

            def handle_error(self, *_):
                pass  # a peer that was killed

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, handler):
        request = Request(handler, handler.rfile.read(int(handler.headers["content-length"])))
        key = request.headers.get("x-key") or self.key_of(request)
        with self.lock:
            self.requests.append(request)
            if key is not None and self.running.get(key):
                self.overlaps.append((key, request.at()))
            self.running[key] = self.running.get(key, 0) + 1
        try:
            status, body, headers = self.decide(request)
        finally:
            with self.lock:
                self.running[key] -= 1
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    @staticmethod
    def key_of(request):
        try:
            return request.data().get("key")
        except (ValueError, AttributeError):
            return None

    def count(self):
        with self.lock:
            return len(self.requests)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class FlowCase(unittest.TestCase):
    """One engine for all tests of a class; topics and groups have the test's name in them."""

    @classmethod
    def setUpClass(cls):
        cls.data = tempfile.mkdtemp(prefix="headrace-flow-")
        cls.addClassCleanup(shutil.rmtree, cls.data, ignore_errors=True)
        kind = KafkaEngine if Settings.engine == "kafka" else HeadraceEngine
        cls.engine = kind(str(pathlib.Path(cls.data) / "engine"))
        cls.addClassCleanup(cls.engine.stop)

    def setUp(self):
        self.name = self._testMethodName[len("test_"):][:60]
        self.flows = []
        self.addCleanup(self.end_flows)

    def end_flows(self):
        for flow in self.flows:
            if flow.poll() is None:
                flow.kill()
            flow.wait()
            flow.stdout.close()

    def endpoint(self, decide=echo, port=0):
        made = Endpoint(decide, port)
        self.addCleanup(made.stop)
        return made

    def topic(self, name):
        return f"{self.name}.{name}"

    def write(self, handler, partitions=3, drain="30s"):
        """A flow file with one handler of `made` events, which may emit `done`; handler: its other
        lines."""
        path = pathlib.Path(self.data) / f"{self.name}.yaml"
        lines = [f"flow: {self.name}", f"drain: {drain}", "events:",
                 f"  made: {{topic: {self.topic('things')}, partitions: {partitions}}}",
                 f"  done: {{topic: {self.topic('results')}, partitions: {partitions}}}",
                 f"  other: {{topic: {self.topic('others')}, partitions: {partitions}}}",
                 "handlers:", "  h:", "    handles: made"]
        lines += ["    " + line for line in handler]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    def call(self, *words, stdin=None, code=0):
        """A command of the binary that ends."""
        done = subprocess.run([Settings.binary, *words, "--bootstrap", self.engine.bootstrap],
                              input=stdin, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout

    def start(self, path, folder=None):
        """A process of the flow in the folder, once it says that it runs."""
        errors = open(path + f".{len(self.flows)}.err", "w+", encoding="utf-8")
        self.addCleanup(errors.close)
        flow = subprocess.Popen([Settings.binary, "flow", "run", path, "--log", "text",
                                 "--bootstrap", self.engine.bootstrap],
                                stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder)
        flow.errors = errors
        self.flows.append(flow)
        for line in flow.stdout:
            if " running: " in line:
                return flow
        flow.wait()
        self.fail(f"it ended: {self.said(flow)}")

    @staticmethod
    def said(flow):
        flow.errors.flush()
        return pathlib.Path(flow.errors.name).read_text(encoding="utf-8")

    def stop(self, flow, seconds=WAIT_S):
        """Ends a flow in order; how long that took."""
        begin = time.monotonic()
        flow.send_signal(signal.SIGTERM)
        self.assertEqual(flow.wait(timeout=seconds), 0, self.said(flow))
        return time.monotonic() - begin

    def send(self, records, topic=None):
        """records: (key, data as an object) each."""
        lines = "".join(f"{key}\t{json.dumps(data)}\n" for key, data in records)
        self.call("produce", topic or self.topic("things"), "--key-delimiter", "\t", stdin=lines)

    def send_events(self, events):
        """Things that are CloudEvents; events: (key, id, data as an object) each."""
        head = "ce_specversion=1.0,ce_type=made,ce_source=/tests,ce_id="
        lines = "".join(f"{head}{name}\t{key}\t{json.dumps(data)}\n" for key, name, data in events)
        self.call("produce", self.topic("things"), "--headers", "\t", "--key-delimiter", "\t",
                  stdin=lines)

    def read(self, topic):
        """The committed records of a topic, each as printed by consume."""
        out = self.call("consume", topic, "--exit", "--format", "json")
        return [json.loads(line) for line in out.splitlines()]

    def lag(self):
        """How many events the handler has not dealt with."""
        out = self.call("group", "describe", f"{self.name}.h", "--format", "json")
        return sum(int(row["lag"] or 0) for row in json.loads(out))

    def results(self):
        return self.read(self.topic("results"))

    def dead(self):
        return self.read(self.topic("things") + ".dlq")

    def numbers(self, records):
        """The field n of each record's data."""
        return [json.loads(record["value"])["n"] for record in records]

    def wait(self, look, what, seconds=WAIT_S):
        return process.poll_until(look, seconds, what)

    def wait_results(self, count, seconds=WAIT_S):
        """Results once they are so many."""
        self.wait(lambda: len(self.results()) >= count, f"{count} results", seconds)
        return self.results()

    @staticmethod
    def headers(record):
        return dict(record["headers"])


def main(name):
    """Runs the tests of a file."""
    arguments = sys.argv[1:]
    rest = [sys.argv[0]]
    while arguments:
        word = arguments.pop(0)
        if word == "--binary":
            Settings.binary = str(pathlib.Path(arguments.pop(0)).resolve())  # of any folder
        elif word == "--engine":
            Settings.engine = arguments.pop(0)
        else:
            rest.append(word)
    if Settings.engine == "kafka":
        import toolchains
        toolchains.build(["jars"])
    unittest.main(module=name, argv=rest, verbosity=2)
