//! Programs that bind by themselves, where endless may do less than root: as an ordinary user, and in containers' profiles.

use crate::capture::{NODE, go_server, nginx, restarts_lose_nothing, restarts_lose_nothing_at};
use crate::support::load::Kind;
use crate::support::{Setup, endless, free_port, processes};
use nix::libc;
use nix::unistd::geteuid;

/// endless as a user without any right, in a directory of its own. Whoever is no root runs it as it is.
pub fn as_nobody(options: &str) -> Setup {
    if !geteuid().is_root() {
        return endless(options);
    }
    let script = "cp \"$0\" nobodys-endless && chown -R 65534:65534 . && exec setpriv --reuid 65534 --regid 65534 \
                  --clear-groups --inh-caps=-all --bounding-set=-all ./nobodys-endless \"$@\"";
    Setup::behind(&["sh", "-c", script], options)
}

#[test]
fn an_ordinary_user_loses_nothing_with_go() {
    let setup = as_nobody("-v --probation 1");
    let server = go_server(setup.dir());
    let mut endless = setup.start_command(&[&server, &format!(":{}", free_port())]);
    let first = endless.ready(1);
    endless.wait("the target runs under no_new_privs");
    assert_eq!(processes::status(first, "NoNewPrivs").as_deref(), Some("1"));
    restarts_lose_nothing(&mut endless, Kind::New, 2..=6);
}

#[test]
fn an_ordinary_user_loses_nothing_with_nginx() {
    let mut endless = nginx(as_nobody("--probation 1"), &format!("listen 127.0.0.1:{};", free_port()));
    restarts_lose_nothing(&mut endless, Kind::New, 2..=6);
}

#[test]
fn an_ordinary_user_loses_nothing_with_node() {
    let mut endless = as_nobody("--probation 1").start_command(&["node", "-e", NODE, &free_port()]);
    restarts_lose_nothing(&mut endless, Kind::New, 2..=6);
}

/// What root can do in a container by default.
const CONTAINER: &str = "--bounding-set=-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid,+setfcap,\
                         +setpcap,+net_bind_service,+sys_chroot,+kill,+audit_write";

/// endless as in a container whose profile answers this call with EPERM; None without root.
pub fn in_container_without(call: libc::c_long, options: &str) -> Option<Setup> {
    if !geteuid().is_root() {
        return None;
    }
    let setup = Setup::behind(&["setpriv", CONTAINER, "--inh-caps=-all"], options);
    // SAFETY: the closure makes one system call and allocates nothing.
    Some(unsafe { setup.pre_exec(move || forbid(call)) })
}

/// A filter that answers one call with EPERM.
fn forbid(call: libc::c_long) -> std::io::Result<()> {
    filter(&mut [load(NUMBER), unless(call as u32, 1), refuse(), allow()])
}

/// The same for one option of setsockopt(2).
fn forbid_option(option: i32) -> std::io::Result<()> {
    filter(&mut [
        load(NUMBER),
        unless(libc::SYS_setsockopt as u32, 3),
        load(THIRD),
        unless(option as u32, 1),
        refuse(),
        allow(),
    ])
}

/// Where a filter finds the number of the call, and its third argument (seccomp(2), struct seccomp_data).
const NUMBER: u32 = 0;
const THIRD: u32 = 32;

fn step(code: u32, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf, k }
}

fn load(offset: u32) -> libc::sock_filter {
    step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, offset)
}

/// Unless it is this, so many steps are left out.
fn unless(value: u32, left_out: u8) -> libc::sock_filter {
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, left_out, value)
}

fn refuse() -> libc::sock_filter {
    step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32)
}

fn allow() -> libc::sock_filter {
    step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW)
}

fn filter(steps: &mut [libc::sock_filter]) -> std::io::Result<()> {
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the kernel reads the program, which outlives the call, and its length is right.
    match unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Ten restarts of Go, nginx and node, each under clients.
fn loses_nothing_without(call: libc::c_long, says: Option<&str>) {
    let setup = || in_container_without(call, "-v --probation 0");
    let Some(go) = setup() else { return };
    let server = go_server(go.dir());
    let go = go.start_command(&[&server, &format!(":{}", free_port())]);
    let nginx = nginx(setup().unwrap(), &format!("listen 127.0.0.1:{};", free_port()));
    let node = setup().unwrap().start_command(&["node", "-e", NODE, &free_port()]);
    for mut endless in [go, nginx, node] {
        endless.ready(1);
        if let Some(says) = says {
            endless.wait(says);
        }
        restarts_lose_nothing(&mut endless, Kind::New, 2..=11);
    }
}

#[test]
fn where_pidfd_getfd_is_forbidden_as_in_docker_nothing_is_lost() {
    loses_nothing_without(libc::SYS_pidfd_getfd, Some("forbids pidfd_getfd(2)"));
}

#[test]
fn where_process_vm_readv_is_forbidden_as_in_podman_nothing_is_lost() {
    loses_nothing_without(libc::SYS_process_vm_readv, None);
}

#[test]
fn a_copy_that_does_not_show_its_sockets_goes_on_without_and_the_log_says_why() {
    let Some(setup) = in_container_without(libc::SYS_pidfd_getfd, "--probation 0") else { return };
    let server = "import os, socket, sys
os.setgid(65534); os.setuid(65534)
server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
print('serves', flush=True)
while True: server.accept()[0].close()";
    let mut endless = setup.start_command(&["python3", "-c", server, &free_port()]);
    endless.wait_with(&["sockets of python3", "are not captured: it does not show what it binds to"]);
    endless.wait("serves");
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn where_the_kernel_refuses_to_steer_copies_share_and_it_is_said() {
    if !geteuid().is_root() {
        return;
    }
    let setup = endless("-l 127.0.0.1:0 -l udp:127.0.0.1:0 --probation 0 --settle 100ms");
    // SAFETY: the closure makes one system call and allocates nothing.
    let setup = unsafe { setup.pre_exec(|| forbid_option(libc::SO_ATTACH_REUSEPORT_CBPF)) };
    let mut endless = setup.start(&[]);
    endless.wait_count("all generations share one socket at ", 2);
    assert_eq!(endless.ask(), (1, endless.ready(1)));
    let second = endless.restart(2);
    endless.gone(1);
    assert_eq!(endless.ask(), (2, second));
    assert_eq!(endless.count("all generations share one socket at "), 2, "{:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

/// Starts a helper first that binds a path and lets nobody look at it, as ssh-agent does; later generations take their time.
const WITH_A_HELPER: &str = "import ctypes, os, socket, sys, time
from http.server import HTTPServer, BaseHTTPRequestHandler
class Handler(BaseHTTPRequestHandler):
  def log_message(self, *args): pass
  def do_GET(self):
    self.send_response(200); self.send_header('Content-Length', '2'); self.end_headers(); self.wfile.write(b'ok')
told, tells = os.pipe()
if os.fork() == 0:
  ctypes.CDLL(None).prctl(4, 0)
  helper = socket.socket(socket.AF_UNIX)
  helper.bind('helper-%d' % os.getpid())
  os.write(tells, b'.')
  time.sleep(1000)
os.read(told, 1)
if os.environ['ENDLESS_GENERATION'] != '1': time.sleep(3)
HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()";

#[test]
fn a_helper_that_does_not_show_its_socket_makes_nothing_ready() {
    let port = free_port();
    let mut endless = as_nobody("--probation 0").start_command(&["python3", "-c", WITH_A_HELPER, &port]);
    endless.wait_with(&["sockets of python3", "are not captured: it does not show what it binds to"]);
    endless.wait(&format!("listening on 127.0.0.1:{port}"));
    let at = endless.address(0);
    restarts_lose_nothing_at(&mut endless, at, Kind::New, 2..=2, |_| ());
}
