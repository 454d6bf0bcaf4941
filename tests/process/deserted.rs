//! Copies that close sockets they made, and make none in their place.

use crate::support::client::get;
use crate::support::{endless, free_port, until};
use nix::sys::signal::{Signal, kill};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

/// Serves at three TCP sockets and at a path; told by SIGUSR1 it closes all but one TCP socket.
const SERVER: &str = "
import os, select, signal, socket, sys
def listening(s, at):
    s.bind(at)
    s.listen(8)
    return s
def tcp():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return listening(s, ('127.0.0.1', int(sys.argv[1])))
if os.path.exists(sys.argv[2]):
    os.unlink(sys.argv[2])
sockets = [tcp(), listening(socket.socket(socket.AF_UNIX), sys.argv[2]), tcp(), tcp()]
told = []
signal.signal(signal.SIGUSR1, lambda *_: told.append(1))
while True:
    if told and len(sockets) > 1:
        while len(sockets) > 1:
            sockets.pop(0).close()
        print('closed', flush=True)
    for s in select.select(sockets, [], [], 0.02)[0]:
        client = s.accept()[0]
        if client.recv(1000):
            client.send(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n')
        client.close()
";

#[test]
fn nobody_waits_where_a_copy_has_closed_its_socket() {
    let port = free_port();
    let mut endless = endless("--probation 0").start_command(&["python3", "-c", SERVER, &port, "{dir}/s"]);
    let copy = endless.ready(1);
    kill(copy, Signal::SIGUSR1).unwrap();
    endless.wait("closed");
    let at: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    let told = format!("has closed its socket at {at}");
    until("the closed sockets are out of the way", || {
        // Some come to one of them, and wait until it is found out.
        let _ = get(at, "/");
        (endless.count(&told) > 0).then_some(())
    });
    for _ in 0..30 {
        assert!(get(at, "/").is_ok(), "{:?}", endless.said());
    }
    let path = endless.file("s");
    let _waits = UnixStream::connect(&path).unwrap();
    endless.wait("has closed its socket at unix:");
    assert!(UnixStream::connect(&path).is_err(), "nobody listens there");
    endless.restart(2);
    assert!(get(at, "/").is_ok());
    drop(UnixStream::connect(&path).unwrap());
    assert_eq!(endless.stop(), 0);
}
