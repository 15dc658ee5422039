#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""--on-ask docs/examples/on-ask-chat.py: posts the question in a Matrix room; an operator's reaction to it decides."""
import json
import os
import sys
import time
from urllib.request import Request, urlopen
chat = json.load(open(os.path.expanduser("~/.config/cordon/chat.json"), encoding="utf-8"))
text = "Sandbox: {object} ({rule_text})? React with 👍 (once) or 👎 (no).".format(**json.load(sys.stdin))
api, room, headers = chat["server"] + "/_matrix/client", chat["room"], {"Authorization": "Bearer " + chat["token"]}
body = json.dumps({"msgtype": "m.text", "body": text}).encode()
post = Request(f"{api}/v3/rooms/{room}/send/m.room.message/{time.time_ns()}", body, headers, method="PUT")
sent = json.load(urlopen(post, timeout=60))["event_id"]
poll = Request(f"{api}/v1/rooms/{room}/relations/{sent}/m.annotation", headers=headers)
while not time.sleep(1):
    for event in json.load(urlopen(poll, timeout=60))["chunk"]:
        answer = {"👍": "once", "👎": "no"}.get(event["content"]["m.relates_to"]["key"][:1])
        if answer and event["sender"] in chat["operators"]:
            sys.exit(print(json.dumps({"answer": answer, "reason": event["sender"]})))
