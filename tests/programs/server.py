"""Python's own http.server, at a path: `python3 server.py PATH`."""

import http.server
import socketserver
import sys

LARGE = bytes((i * 0x9E3779B9 & 0xFFFFFFFF) >> 24 for i in range(300_000)) * 10


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/length":
            self.send_response(200)
            self.send_header("Content-Length", str(len(LARGE)))
            self.end_headers()
            self.wfile.write(LARGE)
        elif self.path == "/chunks":
            self.protocol_version = "HTTP/1.1"
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(LARGE), 70_000):
                chunk = LARGE[start : start + 70_000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
        elif self.path == "/close":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(LARGE)
        else:
            self.send_error(404)

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


with Server(sys.argv[1], Handler) as server:
    print("listening", flush=True)
    server.serve_forever()
