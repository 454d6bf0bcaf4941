//! Programs that bind by themselves, where endless may do less than root: as an ordinary user, and in containers' profiles.

use crate::capture::{NODE, free_port, go_server, nginx, restarts_lose_nothing};
use crate::support::load::Kind;
use crate::support::{Setup, endless, processes};
use nix::unistd::geteuid;

/// endless as a user without any right, in a directory of its own. Whoever is no root runs it as it is.
fn as_nobody(options: &str) -> Setup {
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
