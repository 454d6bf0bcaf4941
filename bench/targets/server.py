"""A threaded server that knows nothing of endless: it binds the port or the Unix path it is given, and SIGTERM kills it."""
import http.server
import os
import socketserver
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/sleep/"):
            time.sleep(int(self.path.rsplit("/", 1)[1]) / 1000)
        body = f"Hello, world {os.environ.get('ENDLESS_GENERATION', '0')} {os.getpid()}!\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Tcp(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


class Path(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


where = sys.argv[1]
if where.isdigit():
    server = Tcp(("127.0.0.1", int(where)), Handler)
else:
    if os.path.exists(where):
        os.unlink(where)
    server = Path(where, Handler)
server.serve_forever()
