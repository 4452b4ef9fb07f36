#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Kill the key manager at random while alarms come and go, and see that it forgets nothing that it acknowledged.

	alarm_storm.py --router NAME --kills N --log FILE COMMAND...

COMMAND starts the key manager. Clients raise, change and clear alarms on its control socket without a pause. After each kill
the process is started again and asked: every alarm whose raising was acknowledged must be there with its last
acknowledged message, every one whose clearing was acknowledged must not. What was under way at the kill may be either
way. The journal's lines are checked here as well, with nothing of svr's own code. Prints one line of JSON.
"""
import argparse
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

SOURCES = 40  # alarms per client
CLIENTS = 3
GONE = object()


def ask(path, timeout=10, **request):
	with socket.socket(socket.AF_UNIX) as client:
		client.settimeout(timeout)
		client.connect(path)
		client.sendall(json.dumps(request).encode() + b"\n")
		with client.makefile() as answers:
			answer = json.loads(answers.readline() or "{}")
	if "result" not in answer:
		raise ConnectionError(answer.get("error", "no answer"))
	return answer["result"]


class Client(threading.Thread):
	"""Raises and clears alarms of a process name of its own; knows for each source what may be true now."""

	def __init__(self, path, number, seed):
		super().__init__(daemon=True)
		self.path = path
		self.process = f"storm-{number}"
		self.random = random.Random(seed)
		self.may_be = {}  # source: set of messages, GONE among them
		self.acknowledged = 0
		self.count = 0
		self.run_now = threading.Event()
		self.idle = threading.Event()
		self.end = False

	def once(self):
		source = f"thing-{self.random.randrange(SOURCES)}"
		self.count += 1
		before = self.may_be.get(source, {GONE})
		if self.random.random() < 0.7:
			after = f"{source} says \"{self.count}\" é " + "x" * self.random.randrange(200)
			request = {"command": "alarm raise", "severity": self.random.choice(["info", "minor", "major", "critical"]),
				   "message": after}
		else:
			after = GONE
			request = {"command": "alarm clear"}
		self.may_be[source] = before | {after}
		result = ask(self.path, category="system/test", source=source, process=self.process, **request)
		if result["recorded"]:
			self.may_be[source] = {after}
			self.acknowledged += 1

	def run(self):
		while not self.end:
			if not self.run_now.is_set():
				self.idle.set()
				self.run_now.wait(1)
				continue
			self.idle.clear()
			try:
				self.once()
			except (OSError, ValueError):
				time.sleep(0.002)


def journal_faults(path):
	"""Lines that are not whole; the last one may be torn."""
	with open(path, "rb") as file:
		lines = file.read().split(b"\n")
	faults = []
	if lines[0] != b"svr-journal 1":
		faults.append("first line")
	for number, line in enumerate(lines[1:-1], 2):
		digits, _, text = line.partition(b" ")
		if hashlib.sha256(text).hexdigest()[:16].encode() != digits:
			faults.append(f"line {number}")
		else:
			json.loads(text)
	return faults


def wait_answer(path, process, seconds=60):
	end = time.monotonic() + seconds
	while True:
		try:
			return ask(path, command="show alarms", limit=10000)
		except (OSError, ValueError):
			if process.poll() is not None:
				sys.exit(f"the key manager ended by itself: {process.returncode}")
			if time.monotonic() > end:
				sys.exit("the key manager does not answer")
			time.sleep(0.005)


def main():
	parser = argparse.ArgumentParser()
	parser.add_argument("--router", required=True)
	parser.add_argument("--kills", type=int, required=True)
	parser.add_argument("--log", required=True)
	parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
	parser.add_argument("command", nargs=argparse.REMAINDER)
	args = parser.parse_args()
	path = f"{os.environ['SVR_RUN_DIR']}/{args.router}/keymgr.sock"
	journal = f"{os.environ['SVR_STATE_DIR']}/{args.router}/alarms.journal"
	chance = random.Random(args.seed)
	clients = [Client(path, i, chance.random()) for i in range(CLIENTS)]
	for client in clients:
		client.start()
	faults = []
	log = open(args.log, "ab")
	for kill in range(args.kills + 1):
		process = subprocess.Popen(args.command, stdout=log, stderr=log)
		there = {(a["process"], a["source"]): a["message"] for a in wait_answer(path, process)["alarms"]}
		for client in clients:
			for source, may_be in client.may_be.items():
				got = there.pop((client.process, source), GONE)
				if got not in may_be:
					faults.append(f"kill {kill}: {client.process} {source}: got {got!r}, may be {may_be!r}")
				client.may_be[source] = {got}
		faults += [f"kill {kill}: unknown alarm {key}" for key in there if key[0].startswith("storm-")]
		if kill == args.kills:
			break
		for client in clients:
			client.idle.clear()
			client.run_now.set()
		time.sleep(chance.random() * 0.2)
		process.send_signal(signal.SIGKILL)
		process.wait()
		for client in clients:
			client.run_now.clear()
		for client in clients:
			client.idle.wait(30)
		if os.path.exists(journal):
			faults += [f"kill {kill}: {fault}" for fault in journal_faults(journal)]
	process.terminate()
	process.wait()
	faults += journal_faults(journal)
	print(json.dumps({"kills": args.kills, "acknowledged": sum(c.acknowledged for c in clients),
			  "faults": len(faults), "seed": args.seed, "first": faults[:3]}))
	return 1 if faults else 0


if __name__ == "__main__":
	sys.exit(main())
