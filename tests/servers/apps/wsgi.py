"""A WSGI application: greets, and takes N milliseconds at /sleep/N."""
import os
import time


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/sleep/"):
        time.sleep(int(path.rsplit("/", 1)[1]) / 1000)
    generation = os.environ.get("ENDLESS_GENERATION", "0")
    body = f"Hello, world {generation} {os.getpid()}!\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
