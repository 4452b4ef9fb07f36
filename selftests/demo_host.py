#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What hosts do in the demo, beside host.py: a quick HTTP server, and a tiny DNS.

    demo_host.py serve FILE PORT... [--dns]   HTTP on each PORT: GET anything gives FILE; with --dns: DNS answers of 512 bytes
    demo_host.py ask ADDRESS NAME [--times N] DNS queries; prints the last answer, its size and the median time
    demo_host.py length CAPTURE tcp|udp SOURCE
                                              IP length of the last packet with data from SOURCE in a capture
"""
import argparse
import http.server
import os
import socket
import socketserver
import statistics
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "contrib", "decode"))
sys.dont_write_bytecode = True

DNS_SIZE = 512      # the longest answer that RFC 1035 allows over UDP
DNS_ADDRESS = "192.0.2.53"
TXT_MAX = 255


class FileServer(socketserver.ThreadingTCPServer):
    """Not http.server's own: that one asks the DNS for its name, which no host here has."""
    allow_reuse_address = True
    daemon_threads = True


class FileHandler(http.server.BaseHTTPRequestHandler):
    path_of_file = None

    def do_GET(self):
        with open(self.path_of_file, "rb") as f:
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(os.fstat(f.fileno()).st_size))
            self.end_headers()
            # the kernel copies: python would be slower than the routers
            self.connection.sendfile(f)

    def log_message(self, *args):
        pass


def dns_name(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"


def dns_answer(query):
    """The question again, one A record, and a TXT record that fills the answer up to DNS_SIZE."""
    end = query.index(b"\0", 12) + 5
    question = query[12:end]
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(DNS_ADDRESS)
    room = DNS_SIZE - 12 - len(question) - len(record) - 12
    text = b""
    while room > len(text) + 1:
        n = min(TXT_MAX, room - len(text) - 1)
        text += bytes([n]) + b"x" * n
    text = b"\xc0\x0c" + struct.pack("!HHIH", 16, 1, 60, len(text)) + text
    return query[:2] + struct.pack("!HHHHH", 0x8580, 1, 2, 0, 0) + question + record + text


def serve_dns():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", 53))
    while True:
        query, who = s.recvfrom(2048)
        try:
            s.sendto(dns_answer(query), who)
        except (ValueError, OSError):
            pass


def serve(args):
    FileHandler.path_of_file = args.file
    for port in args.port:
        server = FileServer(("0.0.0.0", port), FileHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    if args.dns:
        threading.Thread(target=serve_dns, daemon=True).start()
    print("serving", flush=True)
    threading.Event().wait()


def ask(args):
    times = []
    for i in range(args.times):
        ident = struct.pack("!H", 0x5300 + i)
        question = dns_name(args.name) + struct.pack("!HH", 1, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            s.connect((args.address, 53))
            start = time.perf_counter()
            s.send(ident + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + question)
            answer = s.recv(2048)
            times.append(time.perf_counter() - start)
        flags, _, answers = struct.unpack_from("!HHH", answer, 2)
        if answer[:2] != ident or not flags & 0x8000 or flags & 15 or answers < 1:
            sys.exit("not an answer to this question: %r" % answer[:12])
        if answer[12:12 + len(question)] != question:
            sys.exit("the answer is about another question")
        address = socket.inet_ntoa(answer[12 + len(question) + 12:][:4])
    print("%s has address %s (%d-byte answer; %d questions from %d sockets, median %.2f ms)" % (
        args.name, address, len(answer), args.times, args.times, statistics.median(times) * 1e3))


def length(args):
    from svr_decode import read_capture
    last = None
    for _, frame in read_capture(args.capture):
        if len(frame) < 34 or frame[12:14] != b"\x08\x00":
            continue
        ihl, total = (frame[14] & 15) * 4, struct.unpack_from("!H", frame, 16)[0]
        l4 = frame[14 + ihl:]
        header = 8 if frame[23] == 17 else (l4[12] >> 4) * 4
        if frame[23] == {"tcp": 6, "udp": 17}[args.proto] and socket.inet_ntoa(frame[26:30]) == args.source and \
                total > ihl + header:
            last = total
    if last is None:
        sys.exit("%s: no %s packet with data from %s" % (args.capture, args.proto, args.source))
    print(last)


def main():
    ap = argparse.ArgumentParser()
    sub = ap.add_subparsers(required=True)
    p = sub.add_parser("serve")
    p.add_argument("file")
    p.add_argument("port", type=int, nargs="+")
    p.add_argument("--dns", action="store_true")
    p.set_defaults(run=serve)
    p = sub.add_parser("ask")
    p.add_argument("address")
    p.add_argument("name")
    p.add_argument("--times", type=int, default=1)
    p.set_defaults(run=ask)
    p = sub.add_parser("length")
    p.add_argument("capture")
    p.add_argument("proto", choices=("tcp", "udp"))
    p.add_argument("source")
    p.set_defaults(run=length)
    args = ap.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
