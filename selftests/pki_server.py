#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A web server for revocation lists, and all the ways in which one can be hostile.

	pki_server.py ADDRESS PORT DIRECTORY [CERTIFICATE KEY]

With a certificate it speaks TLS. It is a proxy, too: of http://NAME/FILE it gives FILE. Files come from DIRECTORY. Besides:

	/slow		a byte each second, for ever
	/stall		takes the request and says nothing
	/endless	zeros without an end, as fast as they go
	/huge		announces 10 TB, sends some of them
	/headers	header lines without an end
	/loop		redirects to itself
	/ftp /file	redirect to another protocol
	/html		a web page, status 200
	/error		status 503 with a revocation list as its body
	/bomb		gzip of zeros, which nobody has asked for
	/cut		closes in the middle of what was announced
	/moved/NAME	redirects to NAME
	/away/URL	redirects to URL
"""
import gzip
import http.server
import os
import ssl
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
	protocol_version = "HTTP/1.1"

	def log_message(self, fmt, *args):
		print("%.3f %s" % (time.time(), fmt % args), flush=True)

	def headers_of(self, status, **headers):
		self.send_response(status)
		for name, value in headers.items():
			self.send_header(name.replace("_", "-"), str(value))
		self.send_header("Connection", "close")
		self.end_headers()
		self.close_connection = True

	def send_all(self, data, status=200, **headers):
		self.headers_of(status, Content_Length=len(data), **headers)
		self.wfile.write(data)

	def slow(self):
		self.headers_of(200, Content_Length=1000000)
		while True:
			self.wfile.write(b"0")
			self.wfile.flush()
			time.sleep(1)

	def stall(self):
		time.sleep(600)

	def endless(self):
		self.headers_of(200)
		block = bytes(1 << 20)
		while True:
			self.wfile.write(block)

	def huge(self):
		self.headers_of(200, Content_Length=10 * 1000**4)
		self.wfile.write(bytes(1 << 20))

	def endless_headers(self):
		self.send_response(200)
		self.flush_headers()
		while True:
			self.wfile.write(b"X-More: " + b"x" * 1000 + b"\r\n")

	def bomb(self):
		self.send_all(gzip.compress(bytes(16 << 20)), Content_Encoding="gzip")

	def cut(self):
		self.headers_of(200, Content_Length=1000)
		self.wfile.write(b"half")

	def file(self, name, status=200):
		try:
			with open(os.path.join(self.server.directory, os.path.basename(name)), "rb") as f:
				self.send_all(f.read(), status)
		except OSError:
			self.send_all(b"not here\n", 404)

	def do_GET(self):
		special = {
			"/slow": self.slow, "/stall": self.stall, "/endless": self.endless, "/huge": self.huge,
			"/headers": self.endless_headers, "/bomb": self.bomb, "/cut": self.cut,
			"/loop": lambda: self.headers_of(302, Location="/loop", Content_Length=0),
			"/ftp": lambda: self.headers_of(302, Location="ftp://127.0.0.1/x", Content_Length=0),
			"/file": lambda: self.headers_of(302, Location="file:///etc/passwd", Content_Length=0),
			"/html": lambda: self.send_all(b"<html><body>log in first</body></html>"),
			"/error": lambda: self.file("issuing.crl", 503),
		}
		if self.path.startswith("http://"):  # we are the proxy
			self.path = "/" + self.path.split("/", 3)[3]
		try:
			if self.path in special:
				special[self.path]()
			elif self.path.startswith("/moved/"):
				self.headers_of(301, Location="/" + self.path[len("/moved/"):], Content_Length=0)
			elif self.path.startswith("/away/"):
				self.headers_of(302, Location=self.path[len("/away/"):], Content_Length=0)
			else:
				self.file(self.path)
		except OSError:
			pass  # the client had enough


server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
server.daemon_threads = True
server.directory = sys.argv[3]
if len(sys.argv) > 5:
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain(sys.argv[4], sys.argv[5])
	server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print("serving", flush=True)
server.serve_forever()
