use super::*;
use crate::listener::BoundAddress;
use crate::plan::{Address, Resolver, UnixName};

fn specs(flags: &[&str]) -> Vec<ListenerSpec> {
    let mut resolver = Resolver::by(|| true, |_| Ok(vec![std::net::Ipv4Addr::LOCALHOST.into()]));
    flags.iter().map(|flag| ListenerSpec::parse(flag, &mut resolver).unwrap()).collect()
}

fn held(specs: &[ListenerSpec]) -> Vec<Bound> {
    let bound = |mut at: std::net::SocketAddr| {
        at.set_port(if at.port() == 0 { 40_000 } else { at.port() });
        at
    };
    let one = |spec: &ListenerSpec| {
        let address = match &spec.address {
            Address::Tcp { at, .. } => BoundAddress::Tcp(bound(*at)),
            Address::Udp { at, .. } => BoundAddress::Udp(bound(*at)),
            Address::Unix { kind, name: UnixName::Path(path) } => {
                BoundAddress::Path { kind: *kind, path: path.clone() }
            }
            Address::Unix { kind, name: UnixName::Abstract(name) } => {
                BoundAddress::Abstract { kind: *kind, name: name.clone() }
            }
            Address::Vsock(at) => BoundAddress::Vsock(*at),
            Address::Inherited(_) => BoundAddress::Other("fd".to_owned()),
        };
        let ListenerSpec { name, typed, flag, .. } = spec.clone();
        Bound { name, typed, flag, address }
    };
    specs.iter().map(one).collect()
}

fn plan(protocols: &[Protocol], explicit: bool) -> HandoffPlan {
    HandoffPlan {
        protocols: protocols.to_vec(),
        explicit,
        listen_pid: true,
        fd_store_max: 64,
        expand: true,
        ready_at: None,
    }
}

const BOTH: [Protocol; 2] = [Protocol::Systemd, Protocol::ServerStarter];

fn hand(plan: &HandoffPlan, flags: &[&str]) -> (Handed, Vec<(String, String)>) {
    let specs = specs(flags);
    let mut env = vec![("ENDLESS_WORKER".into(), "9".into())];
    let handed = prepare(plan, &specs, &held(&specs), GenerationId(7), &[], &mut env).unwrap();
    let text = |part: OsString| part.into_string().unwrap();
    (handed, env.into_iter().map(|(name, value)| (text(name), text(value))).collect())
}

fn value(env: &[(String, String)], name: &str) -> String {
    env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_else(|| "(none)".into())
}

#[test]
fn the_default_protocols_tell_everything() {
    let flags = ["web=localhost:4242", ":80", "udp:53", "unix:/run/a.sock", "[::1]:0", "unix:@abs"];
    let (handed, env) = hand(&plan(&BOTH, false), &flags);
    assert_eq!(handed, Handed { numbers: vec![3, 4, 5, 6, 7, 8], stored: vec![], listen_pid: true, notices: vec![] });
    assert_eq!(value(&env, "LISTEN_FDS"), "6");
    assert_eq!(value(&env, "LISTEN_FDNAMES"), "web:-80:udp-53:unix-/run/a.sock:[--1]-0:unix-@abs");
    let ports = "localhost:4242=3;80=4;53=5;/run/a.sock=6;[::1]:40000=7;@abs=8";
    assert_eq!(value(&env, "SERVER_STARTER_PORT"), ports);
    assert_eq!(value(&env, "SERVER_STARTER_GENERATION"), "7");
    assert_eq!(value(&env, "ENDLESS_GENERATION"), "7");
    assert_eq!(value(&env, "ENDLESS_WORKER"), "0");
    assert_eq!(value(&env, "ENDLESS_PID"), std::process::id().to_string());
}

#[test]
fn fd_n_places_a_listener_and_the_others_close_up() {
    let (handed, env) = hand(&plan(&BOTH, false), &["a=:1", "b=:2,fd=3", "c=:3,fd=9", "d=:4"]);
    assert_eq!(handed.numbers, [4, 3, 9, 5]);
    assert_eq!(value(&env, "LISTEN_FDS"), "3");
    assert_eq!(value(&env, "LISTEN_FDNAMES"), "b:a:d");
    assert_eq!(value(&env, "SERVER_STARTER_PORT"), "1=4;2=3;3=9;4=5");
}

#[test]
fn stdin_is_descriptor_0() {
    let (handed, env) = hand(&plan(&[Protocol::Stdin], true), &[":1"]);
    assert_eq!(handed, Handed { numbers: vec![0], stored: vec![], listen_pid: false, notices: vec![] });
    assert_eq!(value(&env, "LISTEN_FDS"), "(none)");
}

#[test]
fn without_listeners_nothing_is_told_unless_asked() {
    assert_eq!(value(&hand(&plan(&BOTH, false), &[]).1, "SERVER_STARTER_PORT"), "(none)");
    let (_, env) = hand(&plan(&BOTH, true), &[]);
    assert_eq!((value(&env, "SERVER_STARTER_PORT"), value(&env, "LISTEN_FDS")), (String::new(), "0".to_owned()));
    let (handed, env) = hand(&plan(&[], true), &[":1"]);
    assert_eq!((handed.listen_pid, value(&env, "LISTEN_FDS")), (false, "(none)".to_owned()));
}

#[test]
fn what_the_kernel_would_refuse_is_left_out_or_an_error() {
    let flags: Vec<String> = (1..=10_000).map(|port| format!("127.0.0.1:{port}")).collect();
    let specs = specs(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let held = held(&specs);
    let mut env = Vec::new();
    let handed = prepare(&plan(&BOTH, false), &specs, &held, GenerationId(1), &[], &mut env).unwrap();
    assert_eq!(handed.numbers.last(), Some(&10_002));
    assert_eq!(handed.notices.len(), 2);
    assert!(env.iter().any(|(name, value)| name == "LISTEN_FDS" && value == "10000"));
    assert!(!env.iter().any(|(name, _)| name == "SERVER_STARTER_PORT"));
    let error = prepare(&plan(&BOTH, true), &specs, &held, GenerationId(1), &[], &mut env).unwrap_err();
    assert!(error.to_string().contains("the kernel takes 131072"), "{error}");
}

#[test]
fn a_name_with_a_nul_byte_is_in_no_variable() {
    let specs = specs(&["unix:@a"]);
    let mut held = held(&specs);
    held[0].address = BoundAddress::Abstract { kind: crate::plan::UnixKind::Stream, name: b"a\0".to_vec() };
    let mut env = Vec::new();
    let handed = prepare(&plan(&BOTH, false), &specs, &held, GenerationId(1), &[], &mut env).unwrap();
    assert_eq!((handed.numbers.as_slice(), handed.notices.len()), ([3].as_slice(), 1));
    assert!(
        env.iter().any(|(name, _)| name == "LISTEN_FDS") && env.iter().all(|(name, _)| name != "SERVER_STARTER_PORT")
    );
    let asked = prepare(&plan(&[Protocol::ServerStarter], true), &specs, &held, GenerationId(1), &[], &mut env);
    assert!(asked.unwrap_err().to_string().contains("NUL byte"));
}

#[test]
fn a_path_server_starter_cannot_say() {
    let specs = specs(&["/run/a=b"]);
    let mut env = Vec::new();
    let handed = prepare(&plan(&BOTH, false), &specs, &held(&specs), GenerationId(1), &[], &mut env).unwrap();
    assert_eq!(handed.notices.len(), 1);
    assert!(prepare(&plan(&BOTH, true), &specs, &held(&specs), GenerationId(1), &[], &mut env).is_err());
}

#[test]
fn templates_are_replaced_where_they_name_a_listener() {
    let specs = specs(&["web=localhost:4242", "[::1]:80", "s=/run/s"]);
    let held = held(&specs);
    let mut plan = plan(&BOTH, false);
    let numbers = plan.numbers(&specs);
    let expand = |plan: &HandoffPlan, text: &str| {
        let template = Template::new(plan, &held, &numbers, GenerationId(7));
        template.expand(OsStr::new(text)).into_string().unwrap()
    };
    for (text, meaning) in [
        ("fd://{fd}", "fd://3"),
        ("{fd:s}{fd:web}", "53"),
        ("{addr}|{addr:[::1]:80}|{addr:s}", "127.0.0.1:4242|[::1]:80|/run/s"),
        ("{host:web}:{port:web} {host:[--1]-80}", "127.0.0.1:4242 ::1"),
        ("{host} {port} g{generation} w{worker}", "127.0.0.1 4242 g7 w0"),
        ("{fd:localhost:4242}", "3"),
        ("{host:s} {port:s} {fd:none} {fd:} {FD} {} {fd", "{host:s} {port:s} {fd:none} {fd:} {FD} {} {fd"),
        ("{{fd}} ${fd} {\"fd\":3} {generation:1}", "{3} $3 {\"fd\":3} {generation:1}"),
        ("}{", "}{"),
    ] {
        assert_eq!(expand(&plan, text), meaning);
    }
    plan.expand = false;
    assert_eq!(expand(&plan, "{fd}"), "{fd}");
    let none =
        Template::new(&self::plan(&BOTH, false), &[], &[], GenerationId(1)).expand(OsStr::new("{fd} {addr} {host}"));
    assert_eq!(none, "{fd} {addr} {host}");
}

#[test]
fn every_other_protocol_in_its_own_words() {
    let flags = ["web=localhost:4242", "[::1]:80"];
    let pid = std::process::id().to_string();
    let has = |protocol, flags: &[&str], expected: &[(&str, &str)]| {
        let (handed, env) = hand(&plan(&[protocol], true), flags);
        for (name, expected) in expected {
            assert_eq!(value(&env, name), *expected, "{protocol} {name}");
        }
        handed.numbers
    };
    assert_eq!(has(Protocol::Grace, &flags, &[("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "(none)")]), [3, 4]);
    let order = [("ENDLESS_CONTINUE", "1"), ("ENDLESS_SOCKET_ORDER", "localhost:4242,[::1]:80")];
    has(Protocol::Endless, &flags, &order);
    let json = r#"[{"addr":"localhost:4242","name":""},{"addr":"[::1]:80","name":""}]"#;
    has(Protocol::EndlessJson, &flags, &[("ENDLESS", json)]);
    let goagain = [
        ("GOAGAIN_FD", "3"),
        ("GOAGAIN_NAME", "tcp:127.0.0.1:4242->"),
        ("GOAGAIN_PID", ""),
        ("GOAGAIN_PPID", pid.as_str()),
        ("GOAGAIN_SIGNAL", "49"),
    ];
    has(Protocol::Goagain, &flags[..1], &goagain);
    assert_eq!(has(Protocol::Tableflip, &flags, &[("TABLEFLIP_HAS_PARENT_7DIU3", "yes")]), [5, 6]);
    has(
        Protocol::Overseer,
        &flags,
        &[("OVERSEER_IS_SLAVE", "1"), ("OVERSEER_NUM_FDS", "2"), ("OVERSEER_SLAVE_ID", "7")],
    );
    has(Protocol::Nginx, &flags, &[("NGINX", "3;4;")]);
    has(Protocol::Unicorn, &flags, &[("UNICORN_FD", "3,4")]);
    has(Protocol::Gunicorn, &flags, &[("GUNICORN_FD", "3,4"), ("GUNICORN_PID", &pid)]);
    has(Protocol::PhpFpm, &["unix:/run/a.sock", ":9000"], &[("FPM_SOCKETS", "/run/a.sock=3,:::9000=4")]);
    let puma = [
        ("PUMA_INHERIT_0", "3:tcp://0.0.0.0:80"),
        ("PUMA_INHERIT_1", "4:unix:///run/a.sock"),
        ("PUMA_INHERIT_2", "5:tcp://[::1]:81"),
        ("PUMA_INHERIT_3", "6:tcp://0.0.0.0:82"),
    ];
    has(Protocol::Puma, &[":80", "/run/a.sock", "[::1]:81", "82"], &puma);
    let einhorn = [
        ("EINHORN_FD_COUNT", "2"),
        ("EINHORN_FD_0", "3"),
        ("EINHORN_FD_1", "4"),
        ("EINHORN_MASTER_PID", pid.as_str()),
        ("EINHORN_FDS", "3 4"),
    ];
    has(Protocol::Einhorn, &flags, &einhorn);
}

#[test]
fn several_protocols_at_once_share_the_descriptors() {
    let all = [Protocol::Systemd, Protocol::Grace, Protocol::Endless, Protocol::Einhorn, Protocol::Nginx];
    let (handed, env) = hand(&plan(&all, true), &[":1", ":2"]);
    assert_eq!(handed.numbers, [3, 4]);
    assert!(handed.listen_pid);
    assert_eq!((value(&env, "LISTEN_FDS"), value(&env, "NGINX")), ("2".to_owned(), "3;4;".to_owned()));
    let (handed, env) = hand(&plan(&[Protocol::Tableflip, Protocol::ServerStarter], true), &[":1"]);
    assert_eq!((handed.numbers, value(&env, "SERVER_STARTER_PORT")), (vec![5], "1=5".to_owned()));
}

#[test]
fn what_copies_have_left_comes_after_the_listeners() {
    let specs = specs(&["a=:1", "b=:2"]);
    let mut env = Vec::new();
    let handed = prepare(&plan(&BOTH, false), &specs, &held(&specs), GenerationId(2), &["x", "y"], &mut env).unwrap();
    assert_eq!((handed.numbers, handed.stored), (vec![3, 4], vec![5, 6]));
    assert!(env.contains(&("LISTEN_FDS".into(), "4".into())));
    assert!(env.contains(&("LISTEN_FDNAMES".into(), "a:b:x:y".into())));
    let none = prepare(&plan(&[Protocol::Nginx], true), &specs, &held(&specs), GenerationId(2), &["x"], &mut env);
    assert_eq!(none.unwrap().stored, [0; 0]);
    assert_eq!(plan(&BOTH, false).stored_numbers(&[3, 5], 2), [0; 0]);
    let beside = HandoffPlan { ready_at: Some(6), ..plan(&BOTH, false) };
    assert_eq!((beside.stored_numbers(&[3, 4], 1), beside.stored_numbers(&[3, 4], 2)), (vec![5], vec![]));
    assert_eq!((beside.store_room(&specs), plan(&BOTH, false).store_room(&specs)), ((1, Some(6)), (64, None)));
}
