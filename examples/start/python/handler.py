"""Answers greetings: one CloudEvent in JSON a line in, one answer a line out."""

import json
import sys

for line in sys.stdin:
    event = json.loads(line)
    name = event["data"]["name"]
    print(f"greeting {name}", file=sys.stderr)  # goes to the log
    answer = {"name": name, "text": f"Hello, {name}!"}
    print(json.dumps({"id": event["id"],
                      "events": [{"type": "greeting.answered", "data": answer}]}), flush=True)
