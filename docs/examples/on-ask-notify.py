#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""--on-ask docs/examples/on-ask-notify.py: a click on a desktop notification decides (notify-send of libnotify 0.8)."""
import html
import json
import subprocess
import sys

question = json.load(sys.stdin)
ACTIONS = {"approve": "Add the rule", "reject": "Reject"} if question.get("kind") == "proposal" else \
    {"once": "Allow once", "session": "Allow while it runs", "no": "Refuse"}
history = "asked {asked}, allowed {allowed}, denied {denied} before".format(**question["history"])
text = html.escape(f"{question['object']}\n{question['rule_text']}\n{history}")    # the guest's word is no markup
command = ["notify-send", "--app-name=Cordon", "--urgency=critical", "--wait",
           *(f"--action={word}={label}" for word, label in ACTIONS.items()),
           "--", f"Sandbox: {question['class']} {question['operation']}?", text]
chosen = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
if chosen in ACTIONS:                       # closed without a click: no decision
    print(json.dumps({"answer": chosen, "reason": "desktop notification"}))
