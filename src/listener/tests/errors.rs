use super::*;

#[test]
fn a_busy_port_names_its_holder_and_binds_nothing() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = holder.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let first = unix(UnixKind::Stream, &directory.path().join("s"));
    let error = Listeners::bind(&[first, tcp(&busy)], &[]).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("-l {}: the address is in use by ", tcp(&busy).flag)), "{text}");
    assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
    assert!(text.contains("choose another address"), "{text}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_port_held_with_the_sharing_flag_is_busy_too() {
    let listeners = open(tcp("127.0.0.1:0"), &[ONE]);
    let error = Listeners::bind(&[tcp(&address(&listeners).to_string())], &[]).unwrap_err();
    assert!(matches!(error.problem, Problem::Busy(_)), "{error}");
    let udp_listeners = open(udp("127.0.0.1:0"), &[ONE]);
    let error = Listeners::bind(&[udp(&address(&udp_listeners).to_string())], &[]).unwrap_err();
    assert!(matches!(error.problem, Problem::Busy(_)), "{error}");
}

#[test]
fn an_address_of_no_interface_is_an_error_unless_freebind() {
    let error = Listeners::bind(&[tcp("192.0.2.1:0")], &[]).unwrap_err();
    assert!(error.to_string().contains("freebind"), "{error}");
    for at in ["192.0.2.1:0", "[2001:db8::1]:0"] {
        open(with(tcp(at), |options| options.freebind = true), &[ONE]);
    }
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    let spec = with(tcp("127.0.0.1:0"), |options| options.device = Some("nowhere0".into()));
    let error = Listeners::bind(&[spec], &[]).unwrap_err();
    assert!(error.to_string().contains("set device"), "{error}");
}

#[test]
fn options_are_on_every_seat() {
    use nix::sys::socket::{getsockopt, sockopt};
    let spec = with(tcp("127.0.0.1:0"), |options| {
        options.nodelay = true;
        options.rcvbuf = Some(65536);
        options.sndbuf = Some(32768);
        options.defer_accept = Some(3);
        options.fastopen = Some(16);
        options.nonblock = Some(true);
        let seconds = std::time::Duration::from_secs;
        options.keepalive = Some((seconds(60), seconds(10), 4));
        options.device = Some("lo".into());
        options.congestion = Some("reno".into());
    });
    let listeners = open(spec, &[ONE, TWO]);
    for generation in [ONE, TWO] {
        let seat = seat(&listeners, generation);
        assert_eq!(getsockopt(&seat, sockopt::TcpNoDelay), Ok(true));
        assert_eq!(getsockopt(&seat, sockopt::RcvBuf), Ok(2 * 65536));
        assert_eq!(getsockopt(&seat, sockopt::SndBuf), Ok(2 * 32768));
        assert_eq!(getsockopt(&seat, sockopt::KeepAlive), Ok(true));
        assert_eq!(getsockopt(&seat, sockopt::TcpKeepIdle), Ok(60));
        assert_eq!(getsockopt(&seat, sockopt::TcpKeepInterval), Ok(10));
        assert_eq!(getsockopt(&seat, sockopt::TcpKeepCount), Ok(4));
        assert_eq!(getsockopt(&seat, sockopt::ReuseAddr), Ok(true));
        assert_eq!(getsockopt(&seat, sockopt::TcpCongestion).unwrap(), *"reno");
        let option = |name| crate::sys::socket::option(seat, nix::libc::IPPROTO_TCP, name);
        assert_eq!(option(nix::libc::TCP_DEFER_ACCEPT), Ok(3));
        assert_eq!(option(nix::libc::TCP_FASTOPEN), Ok(16));
        let flags = nix::fcntl::fcntl(seat, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_ne!(flags & nix::libc::O_NONBLOCK, 0);
        let flags = nix::fcntl::fcntl(seat, nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags, nix::libc::FD_CLOEXEC);
    }
}

#[test]
fn v6only_is_as_asked() {
    use nix::sys::socket::{getsockopt, sockopt};
    for only in [true, false] {
        let spec = with(tcp("[::]:0"), |options| options.v6only = Some(only));
        let listeners = open(spec, &[ONE]);
        assert_eq!(getsockopt(&seat(&listeners, ONE), sockopt::Ipv6V6Only), Ok(only));
    }
}
