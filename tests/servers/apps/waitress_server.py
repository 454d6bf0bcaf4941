"""waitress on the inherited socket: its own command cannot take one, its library can."""
import socket
import waitress
import wsgi

waitress.serve(wsgi.app, sockets=[socket.socket(fileno=3)])
