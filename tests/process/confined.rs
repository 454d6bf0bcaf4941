//! Programs that bind by themselves, where endless may do less than root: as an ordinary user, and in containers' profiles.

use crate::capture::{NODE, go_server, nginx, restarts_lose_nothing};
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
    let step = |code: u32, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
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
