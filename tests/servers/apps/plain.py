"""Python's own http.server on the inherited socket; SIGTERM kills it wherever it is."""
import http.server
import os
import socket
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


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
