use super::unix_name::round;
use super::*;
use crate::words::Failure;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;

fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Connects and checks that this generation, and none of the others, gets the connection.
fn leads_to(listeners: &Listeners, path: &Path, generation: GenerationId, others: &[GenerationId]) {
    let _client = UnixStream::connect(path).unwrap();
    assert!(waits(seat(listeners, generation), 0), "{generation} got nothing");
    for other in others {
        assert!(!waits(seat(listeners, *other), 0), "{other} got it");
    }
    let server = UnixListener::from(seat(listeners, generation).try_clone_to_owned().unwrap());
    server.accept().unwrap();
}

fn home() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    (directory, path)
}

#[test]
fn a_path_leads_where_it_is_steered_and_back() {
    let (directory, path) = home();
    let mut listeners = open(unix(UnixKind::Stream, &path), &[ONE, TWO]);
    leads_to(&listeners, &path, ONE, &[TWO]);
    for _ in 0..2 {
        assert_eq!(listeners.steer(TWO), []);
        leads_to(&listeners, &path, TWO, &[ONE]);
        assert_eq!(listeners.steer(ONE), []);
        leads_to(&listeners, &path, ONE, &[TWO]);
    }
    assert!(listeners.has_own_seats(TWO));
    listeners.release(TWO);
    assert!(!listeners.has_own_seats(TWO));
    listeners.close();
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn a_queue_stays_with_its_generation() {
    let (_directory, path) = home();
    let mut listeners = open(unix(UnixKind::Stream, &path), &[ONE, TWO]);
    let _waiting = UnixStream::connect(&path).unwrap();
    listeners.steer(TWO);
    leads_to(&listeners, &path, TWO, &[]);
    assert!(waits(seat(&listeners, ONE), 0));
    listeners.release(TWO);
    listeners.steer(ONE);
    listeners.close();
}

#[test]
fn datagram_sockets_at_paths_are_steered() {
    let (directory, path) = home();
    let mut listeners = open(unix(UnixKind::Datagram, &path), &[ONE, TWO]);
    let client = UnixDatagram::unbound().unwrap();
    client.send_to(b"x", &path).unwrap();
    assert!(waits(seat(&listeners, ONE), 0));
    listeners.steer(TWO);
    client.send_to(b"x", &path).unwrap();
    assert!(waits(seat(&listeners, TWO), 0));
    listeners.close();
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn a_path_a_copy_removed_or_replaced_is_put_back() {
    let (_directory, path) = home();
    let mut listeners = open(unix(UnixKind::Stream, &path), &[ONE, TWO]);
    assert_eq!(listeners.check_paths(ONE), []);
    fs::remove_file(&path).unwrap();
    assert!(matches!(&listeners.check_paths(ONE)[..], [Notice::PathRestored { what: "unlinked", .. }]));
    leads_to(&listeners, &path, ONE, &[TWO]);
    fs::remove_file(&path).unwrap();
    let _usurper = UnixListener::bind(&path).unwrap();
    assert!(matches!(&listeners.steer(TWO)[..], [Notice::PathRestored { what: "replaced", .. }]));
    leads_to(&listeners, &path, TWO, &[ONE]);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "mine").unwrap();
    assert!(matches!(&listeners.check_paths(TWO)[..], [Notice::Note { .. }]));
    listeners.close();
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn a_copy_that_removes_its_private_name_does_not_prevent_handing_back() {
    let (directory, path) = home();
    let mut listeners = open(unix(UnixKind::Stream, &path), &[ONE, TWO]);
    for name in names(directory.path()) {
        if name.ends_with("-1") {
            fs::remove_file(directory.path().join(name)).unwrap();
        }
    }
    listeners.steer(TWO);
    leads_to(&listeners, &path, TWO, &[ONE]);
    assert_eq!(listeners.steer(ONE), []);
    leads_to(&listeners, &path, ONE, &[TWO]);
    listeners.close();
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn a_shut_seat_is_made_anew_when_it_is_moved() {
    let (directory, path) = home();
    let mut listeners = open(unix(UnixKind::Stream, &path), &[ONE]);
    nix::sys::socket::shutdown(seat(&listeners, ONE).as_raw_fd(), nix::sys::socket::Shutdown::Both).unwrap();
    assert!(UnixStream::connect(&path).is_err());
    listeners.move_seats(ONE, TWO, false).unwrap();
    leads_to(&listeners, &path, TWO, &[]);
    listeners.close();
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn a_stale_socket_is_replaced_and_what_was_left_beside_it_swept() {
    let (directory, path) = home();
    drop(UnixListener::bind(&path).unwrap());
    drop(UnixListener::bind(directory.path().join(".app.sock.endless-999999-1")).unwrap());
    let living = UnixListener::bind(directory.path().join(".app.sock.endless-999998-1")).unwrap();
    let listeners = open(unix(UnixKind::Stream, &path), &[ONE]);
    leads_to(&listeners, &path, ONE, &[]);
    listeners.close();
    assert_eq!(names(directory.path()), [".app.sock.endless-999998-1"]);
    drop(living);
}

#[test]
fn a_path_somebody_answers_is_in_use() {
    let (_directory, path) = home();
    let _holder = UnixListener::bind(&path).unwrap();
    let error = Listeners::bind(&[unix(UnixKind::Stream, &path)], &[]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
    let error = Listeners::bind(&[unix(UnixKind::Datagram, &path)], &[]).unwrap_err();
    assert!(matches!(error.problem, Problem::Busy(_)), "{error}");
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_path_that_is_no_socket_is_never_touched() {
    let (_directory, path) = home();
    fs::write(&path, "mine").unwrap();
    let error = Listeners::bind(&[unix(UnixKind::Stream, &path)], &[]).unwrap_err();
    assert_eq!(error.problem, Problem::NoSocketThere(path.clone()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn the_end_leaves_a_path_that_is_another_program_s() {
    let (_directory, path) = home();
    let listeners = open(unix(UnixKind::Stream, &path), &[ONE]);
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    listeners.close();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn mode_and_owner_are_those_asked_for() {
    let (directory, path) = home();
    let owned = with(unix(UnixKind::Stream, &path), |options| {
        options.mode = Some(0o662);
        options.group = Some(nix::unistd::getgid().as_raw());
    });
    let mut listeners = open(owned, &[ONE, TWO]);
    for generation in [ONE, TWO] {
        listeners.steer(generation);
        let file = fs::metadata(&path).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o662);
        assert_eq!(file.gid(), nix::unistd::getgid().as_raw());
    }
    for name in names(directory.path()) {
        let file = fs::metadata(directory.path().join(name)).unwrap();
        assert!(file.file_type().is_socket());
        assert_eq!(file.permissions().mode() & 0o777, 0o662);
    }
    listeners.close();
}

#[test]
fn a_path_too_long_for_private_names_is_shared() {
    let directory = tempfile::tempdir().unwrap();
    let length = 106 - directory.path().as_os_str().len();
    let path = directory.path().join("x".repeat(length));
    for stale in [false, true] {
        if stale {
            drop(UnixListener::bind(&path).unwrap());
        }
        let (mut listeners, notices) = Listeners::bind(&[unix(UnixKind::Stream, &path)], &[]).unwrap();
        assert!(notices.iter().any(|notice| matches!(notice, Notice::Shared { .. })));
        listeners.make_seats(ONE).unwrap();
        listeners.make_seats(TWO).unwrap();
        assert!(!listeners.has_own_seats(TWO));
        listeners.steer(TWO);
        leads_to(&listeners, &path, TWO, &[]);
        listeners.close();
        assert_eq!(names(directory.path()), [""; 0]);
    }
}

#[test]
fn seqpacket_and_abstract_sockets_are_shared() {
    let (directory, path) = home();
    let name = UnixName::Abstract(format!("endless-test-{}", std::process::id()).into_bytes());
    let hidden = spec(Address::Unix { kind: UnixKind::Stream, name }, SocketOptions::default());
    let (mut listeners, _) = Listeners::bind(&[unix(UnixKind::Seqpacket, &path), hidden.clone()], &[]).unwrap();
    listeners.make_seats(ONE).unwrap();
    assert!(!listeners.has_own_seats(ONE));
    assert_eq!(listeners.seats(TWO).len(), 2);
    let error = Listeners::bind(&[hidden], &[]).unwrap_err();
    assert!(matches!(&error.problem, Problem::Busy(holders) if !holders.is_empty()), "{error}");
    listeners.close();
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn seats_that_cannot_all_be_made_leave_nothing() {
    let (directory, path) = home();
    let gone = tempfile::tempdir().unwrap();
    let specs = [unix(UnixKind::Stream, &path), unix(UnixKind::Stream, &gone.path().join("s"))];
    let (mut listeners, _) = Listeners::bind(&specs, &[]).unwrap();
    listeners.make_seats(ONE).unwrap();
    let before = names(directory.path());
    fs::remove_dir_all(gone.path()).unwrap();
    let error = listeners.make_seats(TWO).unwrap_err();
    assert!(error.to_string().contains("web="), "{error}");
    assert!(matches!(error, Failure::NotMade { errno: nix::libc::ENOENT, .. }), "{error}");
    assert_eq!(names(directory.path()).len(), before.len());
    assert!(!listeners.has_own_seats(TWO));
    listeners.close();
}

#[test]
fn a_path_with_room_for_the_first_private_name_alone_is_shared_from_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let most = 107 - directory.path().as_os_str().len() - 1;
    let beside = |serial: usize| format!("..endless-{}-{serial}", std::process::id()).len();
    for (length, shared) in [(most - beside(9999), false), (most - beside(9), true), (most, true)] {
        let path = directory.path().join("x".repeat(length));
        let (mut listeners, notices) = Listeners::bind(&[unix(UnixKind::Stream, &path)], &[]).unwrap();
        assert!(
            matches!(notices.last(), Some(Notice::Listening { shared: why, .. }) if why.is_some() == shared),
            "{notices:?}"
        );
        for generation in 1..=12 {
            listeners.make_seats(GenerationId(generation)).unwrap();
            listeners.steer(GenerationId(generation));
            listeners.release(GenerationId(generation - 1));
        }
        leads_to(&listeners, &path, GenerationId(12), &[]);
        listeners.close();
    }
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn private_names_are_numbered_in_a_circle() {
    assert_eq!([1, 2, 9999, 10_000, 10_001].map(round), [1, 2, 9999, 1, 2]);
}
