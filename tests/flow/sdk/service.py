"""A handler with the official CloudEvents SDK for Python. Prints the port it listens on.

It answers each event by one of the type done with the same data and attribute `note`: in binary
mode on /binary, in structured mode on /structured.
"""

import http.server as web

from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent


class Handler(web.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        event = http.from_http_event(http.HTTPMessage(headers=dict(self.headers), body=body))
        attributes = {"type": "done", "source": "/sdk", "note": event.get_extension("note")}
        answer = CloudEvent(attributes={k: v for k, v in attributes.items() if v is not None},
                            data=event.get_data())
        write = http.to_binary_event if self.path == "/binary" else http.to_structured_event
        message = write(answer)
        self.send_response(200)
        for name, value in message.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(message.body)))
        self.end_headers()
        self.wfile.write(message.body)

    def log_message(self, *_):
        pass


server = web.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
