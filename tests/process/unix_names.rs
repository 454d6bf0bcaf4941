//! Programs that bind Unix datagram sockets and abstract Unix names by themselves and know nothing of endless.

use crate::capture::{kill_each, restarts_lose_nothing_at};
use crate::confined::in_container_without;
use crate::support::client::{At, Loss, get, greeting};
use crate::support::load::{Kind, Load};
use crate::support::talk::Talk;
use crate::support::{Endless, endless};
use crate::upgrade::upgrade;
use nix::libc;
use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const ECHO: Kind = Kind::Talk(Talk::EchoUnix);

/// Answers every datagram with itself. It removes its path before it binds it and at its end, as syslog daemons do, and looks
/// for the end between two datagrams.
const ECHO_SERVER: &str = "import os, signal, socket, sys
path, going = sys.argv[1].replace('@', '\\0'), [True]
def remove():
  if path[0] != '\\0' and os.path.exists(path): os.unlink(path)
remove()
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); server.bind(path); server.settimeout(0.02)
if path[0] != '\\0': os.chmod(path, 0o606)
signal.signal(signal.SIGTERM, lambda *_: going.clear())
while going:
  try: text, client = server.recvfrom(99)
  except TimeoutError: continue
  server.sendto(text, client)
remove()";

/// Answers over HTTP at an abstract name, and ends between two requests. It tries the name before.
const STREAM_SERVER: &str = "import os, signal, socket, sys
name, going = '\\0' + sys.argv[1][1:], [True]
if len(sys.argv) > 2:
  once = socket.socket(socket.AF_UNIX); once.bind(name); once.close()
server = socket.socket(socket.AF_UNIX); server.bind(name); server.listen(); server.settimeout(0.02)
signal.signal(signal.SIGTERM, lambda *_: going.clear())
answer = 'Hello, world %s %d!' % (os.environ['ENDLESS_GENERATION'], os.getpid())
answer = 'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s' % (len(answer), answer)
while going:
  try: client = server.accept()[0]
  except TimeoutError: continue
  client.settimeout(None)
  if client.recv(999): client.sendall(answer.encode())
  client.close()";

/// A name nobody has.
fn free_name(word: &str) -> String {
    format!("@endless-{word}-{}", std::process::id())
}

fn at(endless: &Endless, name: &str) -> At {
    if name.starts_with('@') { At::Unix(name.into()) } else { At::Unix(endless.file(name)) }
}

#[test]
fn at_a_datagram_path_nothing_is_lost_and_the_old_copy_does_not_remove_it() {
    let setup = endless("--probation 0.2 --settle 0.2");
    let mut endless = setup.start_command(&["python3", "-c", ECHO_SERVER, "s"]);
    endless.wait_with(&["listening on unix-dgram:", "/s"]);
    endless.ready(1);
    let path = endless.file("s");
    restarts_lose_nothing_at(&mut endless, path.as_path(), ECHO, 2..=5, |endless| {
        assert_eq!(std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o606);
        assert_eq!(endless.count("back in place"), 0, "{:#?}", endless.said());
    });
    assert_eq!(endless.left(), Vec::<String>::new());
}

#[test]
fn a_candidate_that_fails_leaves_the_datagram_path_to_the_active_copy() {
    let setup = endless("--ready fd=3");
    // Once it is bound the first copy says that it serves, and the second one ends.
    let fails = "import os, sys
then = 'os.write(3, b\"!\")' if os.environ['ENDLESS_GENERATION'] == '1' else 'sys.exit(7)'
exec(sys.argv[2].replace('signal.signal', then + '; signal.signal'))";
    let mut endless = setup.start_command(&["python3", "-c", fails, "s", ECHO_SERVER]);
    endless.ready(1);
    let path = endless.file("s");
    let load = Load::start(path.as_path(), &[(ECHO, 4)]);
    load.wait_for_more(50);
    endless.signal(Signal::SIGHUP);
    endless.wait("generation 2 failed");
    load.wait_for_more(50);
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    assert_eq!(endless.stop(), 0);
    assert_eq!(endless.left(), Vec::<String>::new());
}

#[track_caller]
fn what_waits_for_a_killed_copy_is_answered(name: &str) {
    let setup = endless("--respawn-limit off --settle 0.2");
    let mut endless = setup.start_command(&["python3", "-c", ECHO_SERVER, name]);
    let copy = endless.ready(1);
    let load = Load::start(at(&endless, name), &[(ECHO, 4)]);
    kill_each(&mut endless, copy, &load, 2..=4);
    let count = load.finish();
    assert_eq!(count.lost_as(Loss::Refused) + count.lost_as(Loss::Unanswered), 0, "{:#?}", endless.said());
    // One may be read and not answered at each kill.
    assert!(count.lost.len() <= 3, "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_datagrams_that_wait_at_a_path_are_answered_by_the_next_copy() {
    what_waits_for_a_killed_copy_is_answered("s");
}

#[test]
fn the_datagrams_that_wait_at_an_abstract_name_are_answered_by_the_next_copy() {
    what_waits_for_a_killed_copy_is_answered(&free_name("killed"));
}

/// Serves at one path, and asks from two others: one that is connected, one that was closed again.
const CLIENT_TOO: &str = "import os, socket, sys
def bound(name):
  path = '%s-%d' % (name, os.getpid()); one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); one.bind(path)
  return path, one
for _ in range(2):
  path, once = bound('once'); once.close(); os.unlink(path)
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if os.path.exists('s'): os.unlink('s')
server.bind('s')
client = bound('client')[1]; client.connect('s')
while True:
  text, to = server.recvfrom(99)
  server.sendto(text, to)";

#[test]
fn datagram_paths_of_clients_are_let_go() {
    let setup = endless("--settle 2 --probation 0");
    let mut endless = setup.start_command(&["python3", "-c", CLIENT_TOO]);
    endless.ready(1);
    let path = endless.file("s");
    restarts_lose_nothing_at(&mut endless, path.as_path(), ECHO, 2..=3, |endless| {
        // A path that only the old copy has would be waited for.
        assert_eq!(endless.count("once-"), 0, "{:#?}", endless.said());
        let private = |name: &String| name.starts_with(".client-") || name.starts_with(".once-");
        assert!(!endless.left().iter().any(private), "{:?}", endless.left());
    });
}

#[test]
fn copies_share_the_socket_of_an_abstract_name() {
    let name = free_name("stream");
    let setup = endless("--name target --probation 0.2 --settle 0.2");
    let mut endless = setup.start_command(&["python3", "-c", STREAM_SERVER, &name]);
    endless.wait_with(&["listening on unix:@endless-stream", "one socket for all generations: an abstract name"]);
    endless.ready(1);
    upgrade(&endless);
    restarts_lose_nothing_at(&mut endless, Path::new(&name), Kind::New, 2..=4, |_| {
        assert_eq!(greeting(&get(Path::new(&name), "/").unwrap()).0, 4);
    });
    assert!(get(Path::new(&name), "/").is_err(), "the name is gone with endless");
}

#[test]
fn copies_share_the_datagram_socket_of_an_abstract_name() {
    let name = free_name("datagram");
    let setup = endless("--probation 0.2 --settle 0.2");
    let mut endless = setup.start_command(&["python3", "-c", ECHO_SERVER, &name]);
    endless.wait_with(&["listening on unix-dgram:@endless-datagram", "an abstract name"]);
    endless.ready(1);
    restarts_lose_nothing_at(&mut endless, Path::new(&name), ECHO, 2..=4, |_| ());
}

#[test]
fn the_queue_at_an_abstract_name_goes_to_the_successor_of_a_killed_copy() {
    let name = free_name("queue");
    let setup = endless("--respawn-limit off --settle 0.2");
    let mut endless = setup.start_command(&["python3", "-c", STREAM_SERVER, &name]);
    let copy = endless.ready(1);
    let load = Load::start(Path::new(&name), &[(Kind::New, 2)]);
    kill_each(&mut endless, copy, &load, 2..=4);
    let count = load.finish();
    assert_eq!(count.lost_as(Loss::Refused), 0, "of {}; {:#?}", count.answered, endless.said());
    assert!(count.lost.len() <= 6, "more than was in flight: {:?}", count.lost);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn an_abstract_name_may_be_tried_before_it_is_used() {
    let name = free_name("tried");
    let mut endless =
        endless("--probation 0 --settle 0.2").start_command(&["python3", "-c", STREAM_SERVER, &name, "tries"]);
    endless.ready(1);
    restarts_lose_nothing_at(&mut endless, Path::new(&name), Kind::New, 2..=3, |_| ());
}

#[test]
fn a_copy_that_binds_an_abstract_name_of_the_plan_gets_that_socket() {
    let name = free_name("planned");
    let setup = endless(&format!("-l unix:{name} --capture always --probation 0.2 --settle 0.2"));
    let mut endless = setup.start_command(&["python3", "-c", STREAM_SERVER, &name]);
    endless.ready(1);
    restarts_lose_nothing_at(&mut endless, Path::new(&name), Kind::New, 2..=3, |_| ());
}

#[test]
fn where_pidfd_getfd_is_forbidden_an_abstract_name_is_not_captured_and_can_be_planned() {
    let name = free_name("docker");
    let Some(setup) = in_container_without(libc::SYS_pidfd_getfd, "--settle 0.2") else { return };
    let mut plain = setup.start_command(&["python3", "-c", STREAM_SERVER, &name]);
    plain.wait_with(&[
        &format!("unix:{name} is not captured, for pidfd_getfd(2) is forbidden"),
        &format!("with -l unix:{name}"),
    ]);
    assert_eq!(plain.stop(), 0);
    let planned = format!("-l unix:{name} --capture always --probation 0.2 --settle 0.2");
    let setup = in_container_without(libc::SYS_pidfd_getfd, &planned).unwrap();
    let mut endless = setup.start_command(&["python3", "-c", STREAM_SERVER, &name]);
    endless.ready(1);
    restarts_lose_nothing_at(&mut endless, Path::new(&name), Kind::New, 2..=3, |_| ());
}
