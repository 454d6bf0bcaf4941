import http.server
import socket
import sys


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, *arguments):
        super().__init__(*arguments, bind_and_activate=False)
        self.socket.close()
        # IPPROTO_MPTCP, as Go does it from 1.24 on.
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
        self.server_bind()
        self.server_activate()


Server(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
