"""Stands for CloudTik's cluster: a head that workers report to."""

import socketserver
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler

import cloudtik

PORT = 8265
NODES = {}


class Head(BaseHTTPRequestHandler):
    def do_POST(self):
        version = self.rfile.read(int(self.headers["Content-Length"])).decode()
        NODES[self.client_address[0]] = version
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        text = "".join(f"{address} {version}\n" for address, version in sorted(NODES.items()))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def main(role, head):
    if role == "head":
        socketserver.TCPServer.allow_reuse_address = True
        NODES[head] = cloudtik.__version__
        socketserver.TCPServer((head, PORT), Head).serve_forever()
    data = cloudtik.__version__.encode() if role == "worker" else None
    with urllib.request.urlopen(f"http://{head}:{PORT}/", data, timeout=60) as answer:
        print(answer.read().decode(), end="")


main(*sys.argv[1:])
