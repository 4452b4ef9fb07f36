#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What hosts do in the tests.

    host.py serve PORT... [--file FILE]      TCP: send FILE and close; with no FILE echo. UDP on the same ports: echo
    host.py fetch ADDRESS PORT [--connections N] [--timeout S]
                                             print the SHA-256 of each copy, one a line
    host.py talk ADDRESS PORT TEXT [--udp] [--times N] [--hold FILE]
                                             send TEXT, expect it back, N times over one socket; keep it open while FILE exists
    host.py exercise ADDRESS PORT [--udp] [--seconds S] [--interval S] [--size N] [--mode both|out|back] [--linger S]
                                             one socket, echoed (both), sent only (out) or received only (back): print JSON
                                             {"sent", "received", "twice", "altered"}; for "back" the server is "source". UDP
                                             waits S seconds for what is late, and adds "gap_ms", the longest time without any
    host.py visitors ADDRESS PORT... [--seconds S] [--rate N]
                                             UDP echo: N times a second one datagram from a port of its own, so each is a
                                             session: print JSON {"sessions", "answered"}
    host.py many ADDRESS PORT... [--count N] [--rounds N] [--hold FILE]
                                             UDP echo: N sockets that stay open, each with bytes of its own in every round;
                                             says "round N" after each and goes on when FILE is not there: print
                                             JSON {"sockets", "rounds", "answered", "wrong", "sent_again"}
    host.py source PORT [--seconds S] [--interval S]
                                             UDP: send numbered datagrams to whoever has sent one
    host.py ping ADDRESS PORT [--size N] [--count N] [--interval S] [--df] [--from PORT]
                                             UDP echo: print JSON {"sent", "received", "wrong"}
"""
import argparse
import hashlib
import json
import os
import resource
import selectors
import socket
import struct
import sys
import threading
import time


def send_file(conn, path):
    with conn, open(path, "rb") as f:
        try:
            conn.sendfile(f)
            conn.shutdown(socket.SHUT_WR)
            while conn.recv(65536):
                pass
        except OSError:
            pass


def echo(conn):
    with conn:
        try:
            while data := conn.recv(65536):
                conn.sendall(data)
        except OSError:
            pass


def roomy(sock):
    """What arrives while this process has no CPU is not lost."""
    sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    return sock


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(args):
    sel = selectors.DefaultSelector()
    for port in args.port:
        t = socket.create_server(("::", port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True)
        u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        roomy(u).bind(("::", port))
        sel.register(t, selectors.EVENT_READ, "tcp")
        sel.register(u, selectors.EVENT_READ, "udp")
    print("serving", flush=True)
    while True:
        for key, _ in sel.select():
            if key.data == "udp":
                data, addr = key.fileobj.recvfrom(65536)
                key.fileobj.sendto(data, addr)
            else:
                conn, _ = key.fileobj.accept()
                work = (send_file, (conn, args.file)) if args.file else (echo, (conn,))
                threading.Thread(target=work[0], args=work[1], daemon=True).start()


def fetch_one(args, results, i):
    digest = hashlib.sha256()
    try:
        with socket.create_connection((args.address, args.port), timeout=args.timeout) as s:
            while data := s.recv(1 << 18):
                digest.update(data)
        results[i] = digest.hexdigest()
    except OSError as e:
        results[i] = "failed: %s" % e


def fetch(args):
    results = [None] * args.connections
    threads = [threading.Thread(target=fetch_one, args=(args, results, i)) for i in range(args.connections)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("\n".join(results))


def talk(args):
    kind = socket.SOCK_DGRAM if args.udp else socket.SOCK_STREAM
    text = args.text.encode()
    with socket.socket(family_of(args.address), kind) as s:
        s.settimeout(args.timeout)
        if args.source:
            s.bind((args.source, 0))
        s.connect((args.address, args.port))
        for _ in range(args.times):
            s.sendall(text)
            got = b""
            while len(got) < len(text):
                data = s.recv(65536)
                if not data:
                    sys.exit("connection closed")
                got += data
            if got != text:
                sys.exit("echo differs: %r" % got[:80])
        print("talked", flush=True)
        while args.hold and os.path.exists(args.hold):
            time.sleep(0.05)


def numbered(number, size):
    """A datagram that nobody can change unseen."""
    body = hashlib.sha256(b"%d" % number).digest() * (size // 32 + 1)
    return struct.pack("!Q", number) + body[:size - 8]


def exercise_udp(args):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    roomy(s).connect((args.address, args.port))
    s.setblocking(False)
    count = {"sent": 0, "received": 0, "twice": 0, "altered": 0, "gap_ms": 0}
    seen = set()
    start = now = last = time.monotonic()
    due = start
    end = start + args.seconds
    while now < end + args.linger:
        if args.hold and now < end and not os.path.exists(args.hold):
            end = now
        if now >= due and now < end and (args.mode != "back" or count["sent"] == 0):
            try:
                s.send(numbered(count["sent"], args.size))
            except OSError:
                pass
            count["sent"] += 1
            due += args.interval
        while True:
            try:
                data = s.recv(65536)
            except OSError:
                break
            if now < end:
                count["gap_ms"] = max(count["gap_ms"], round(1000 * (time.monotonic() - last)))
                last = time.monotonic()
            number = struct.unpack("!Q", data[:8])[0] if len(data) >= 8 else None
            if number is None or data != numbered(number, len(data)):
                count["altered"] += 1
            elif number in seen:
                count["twice"] += 1
            else:
                seen.add(number)
                count["received"] += 1
        now = time.monotonic()
        time.sleep(max(0.0, min(due - now, 0.01)))
        now = time.monotonic()
    print(json.dumps(count))


def exercise_tcp(args):
    count = {"sent": 0, "received": 0, "twice": 0, "altered": 0}
    with socket.create_connection((args.address, args.port), timeout=args.timeout) as s:
        end = time.monotonic() + args.seconds
        while time.monotonic() < end:
            data = numbered(count["sent"], args.size)
            s.sendall(data)
            count["sent"] += 1
            got = b""
            while len(got) < len(data):
                more = s.recv(65536)
                if not more:
                    sys.exit("connection closed")
                got += more
            count["received"] += 1
            count["altered"] += got != data
            time.sleep(args.interval)
    print(json.dumps(count))


def exercise(args):
    (exercise_udp if args.udp else exercise_tcp)(args)


def visitors(args):
    family = family_of(args.address)
    open_until = {}  # socket: when nobody waits for its answer any more
    sel = selectors.DefaultSelector()
    count = {"sessions": 0, "answered": 0}
    start = now = time.monotonic()
    while now < start + args.seconds or open_until:
        while now < start + args.seconds and count["sessions"] < (now - start) * args.rate:
            s = socket.socket(family, socket.SOCK_DGRAM)
            s.connect((args.address, args.port[count["sessions"] % len(args.port)]))
            s.send(numbered(count["sessions"], 100))
            count["sessions"] += 1
            sel.register(s, selectors.EVENT_READ)
            open_until[s] = now + args.timeout
        ready = [key.fileobj for key, _ in sel.select(0.01)]
        now = time.monotonic()
        for s in ready:
            try:
                count["answered"] += len(s.recv(65536)) == 100
            except OSError:
                pass
        for s in ready + [s for s, until in open_until.items() if until < now]:
            if open_until.pop(s, None):
                sel.unregister(s)
                s.close()
    print(json.dumps(count))


def many_round(sockets, round_no, args, count):
    """Every socket gets its own datagram back. What is lost is sent again, few at a time: buffers are finite."""
    waiting = {}  # number: when it is sent again
    todo = list(range(len(sockets) - 1, -1, -1))
    sel = selectors.EpollSelector()
    for number, s in enumerate(sockets):
        sel.register(s, selectors.EVENT_READ, number)
    give_up = time.monotonic() + args.timeout
    with sel:
        while todo or waiting:
            now = time.monotonic()
            if now > give_up:
                return
            late = [number for number, due in waiting.items() if due <= now]
            count["sent_again"] += len(late)
            while late or (todo and len(waiting) < args.window):
                number = late.pop() if late else todo.pop()
                sockets[number].send(numbered(round_no << 32 | number, 64 + number % 512))
                waiting[number] = now + 1
            for key, _ in sel.select(0.05):
                number = key.data
                try:
                    data = key.fileobj.recv(65536)
                except OSError:
                    continue
                if data != numbered(round_no << 32 | number, 64 + number % 512):
                    # the second answer to what was sent again comes late, of this or of the last round
                    known = len(data) >= 8 and struct.unpack("!Q", data[:8])[0] == (round_no - 1) << 32 | number
                    count["wrong"] += not known
                elif waiting.pop(number, None) is not None:
                    count["answered"] += 1


def many(args):
    count = {"sockets": args.count, "rounds": 0, "answered": 0, "wrong": 0, "sent_again": 0}
    sockets = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (args.count + 64, args.count + 64))
    for number in range(args.count):
        s = socket.socket(family_of(args.address), socket.SOCK_DGRAM)
        s.setblocking(False)
        s.connect((args.address, args.port[number % len(args.port)]))
        sockets.append(s)
    for round_no in range(1, args.rounds + 1):
        many_round(sockets, round_no, args, count)
        count["rounds"] = round_no
        print("round %d" % round_no, flush=True)
        while args.hold and round_no < args.rounds and os.path.exists(args.hold):
            time.sleep(0.05)
    print(json.dumps(count))


def source(args):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", args.port))
    print("serving", flush=True)
    _, address = s.recvfrom(65536)
    end = time.monotonic() + args.seconds
    number = 0
    while time.monotonic() < end:
        s.sendto(numbered(number, 200), address)
        number += 1
        time.sleep(args.interval)


def ping(args):
    s = socket.socket(family_of(args.address), socket.SOCK_DGRAM)
    if args.source:
        s.bind(("", args.source))
    s.connect((args.address, args.port))
    if args.df and s.family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, 23, 2)  # IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO
    elif args.df:
        s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    s.settimeout(args.timeout)
    sent = received = wrong = 0
    errors = []
    for i in range(args.count):
        if args.hold and not os.path.exists(args.hold):
            break
        body = struct.pack("!I", i) + os.urandom(max(0, args.size - 4))
        try:
            s.send(body)
            sent += 1
            while True:
                got = s.recv(65536)
                if got == body:
                    received += 1
                    break
                if got[:4] == body[:4]:
                    wrong += 1
                    break
        except socket.timeout:
            pass
        except OSError as e:
            errors.append(e.errno)
        time.sleep(args.interval)
    print(json.dumps({"sent": sent, "received": received, "wrong": wrong, "errors": errors}))


def main():
    ap = argparse.ArgumentParser()
    sub = ap.add_subparsers(required=True)
    p = sub.add_parser("serve")
    p.add_argument("port", type=int, nargs="+")
    p.add_argument("--file")
    p.set_defaults(run=serve)
    p = sub.add_parser("fetch")
    p.add_argument("--connections", type=int, default=1)
    p.set_defaults(run=fetch)
    p2 = sub.add_parser("talk")
    p2.add_argument("--udp", action="store_true")
    p2.add_argument("--times", type=int, default=1)
    p2.add_argument("--hold")
    p2.add_argument("--source")
    p2.set_defaults(run=talk)
    p3 = sub.add_parser("ping")
    p3.add_argument("--size", type=int, default=64)
    p3.add_argument("--count", type=int, default=5)
    p3.add_argument("--interval", type=float, default=0.01)
    p3.add_argument("--df", action="store_true")
    p3.add_argument("--from", type=int, dest="source", metavar="PORT")
    p3.add_argument("--hold")
    p3.set_defaults(run=ping)
    p4 = sub.add_parser("exercise")
    p4.add_argument("--udp", action="store_true")
    p4.add_argument("--seconds", type=float, default=10)
    p4.add_argument("--size", type=int, default=1000)
    p4.add_argument("--interval", type=float, default=0.01)
    p4.add_argument("--hold", help="UDP: end before its time when this file is gone")
    p4.add_argument("--mode", choices=("both", "out", "back"), default="both")
    p4.add_argument("--linger", type=float, default=1)
    p4.set_defaults(run=exercise)
    p6 = sub.add_parser("visitors")
    p6.add_argument("address")
    p6.add_argument("port", type=int, nargs="+")
    p6.add_argument("--seconds", type=float, default=10)
    p6.add_argument("--rate", type=float, default=50)
    p6.add_argument("--timeout", type=float, default=2)
    p6.set_defaults(run=visitors)
    p7 = sub.add_parser("many")
    p7.add_argument("address")
    p7.add_argument("port", type=int, nargs="+")
    p7.add_argument("--count", type=int, default=1000)
    p7.add_argument("--rounds", type=int, default=2)
    p7.add_argument("--window", type=int, default=64)
    p7.add_argument("--hold")
    p7.add_argument("--timeout", type=float, default=300)
    p7.set_defaults(run=many)
    p5 = sub.add_parser("source")
    p5.add_argument("port", type=int)
    p5.add_argument("--seconds", type=float, default=10)
    p5.add_argument("--interval", type=float, default=0.01)
    p5.set_defaults(run=source)
    for q, t in ((p, 60), (p2, 10), (p3, 1), (p4, 60)):
        q.add_argument("address")
        q.add_argument("port", type=int)
        q.add_argument("--timeout", type=float, default=t)
    p2.add_argument("text")
    args = ap.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
