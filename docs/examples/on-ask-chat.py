#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""--on-ask docs/examples/on-ask-chat.py: posts the question in a Matrix room; an operator's reaction to it decides."""
import json
import os
import sys
import time
from urllib.request import Request, urlopen
chat = json.load(open(os.path.expanduser("~/.config/cordon/chat.json"), encoding="utf-8"))
question = json.load(sys.stdin)
answers = dict(zip("👍👎", ("approve", "reject") if question.get("kind") == "proposal" else ("once", "no")))
text = "Sandbox: {object} ({rule_text})? React with 👍 ({0}) or 👎 ({1}).".format(*answers.values(), **question)
api, room, headers = chat["server"] + "/_matrix/client", chat["room"], {"Authorization": "Bearer " + chat["token"]}
body, url = json.dumps({"msgtype": "m.text", "body": text}).encode(), f"{api}/v3/rooms/{room}/send/m.room.message/"
sent = json.load(urlopen(Request(f"{url}{time.time_ns()}", body, headers, method="PUT"), timeout=60))["event_id"]
poll = Request(f"{api}/v1/rooms/{room}/relations/{sent}/m.annotation", headers=headers)
while not time.sleep(1):
    for event in json.load(urlopen(poll, timeout=60))["chunk"]:
        if event["sender"] in chat["operators"] and (key := event["content"]["m.relates_to"]["key"][:1]) in answers:
            sys.exit(print(json.dumps({"answer": answers[key], "reason": event["sender"]})))
