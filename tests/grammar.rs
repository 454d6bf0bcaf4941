//! The grammar of the command line: what is written is read back the same, and nothing that is typed makes it panic;
//! the same for what a copy sends to its notify socket. fuzz/ has the same properties for a fuzzer.

use endless::cli::{self, Invocation};
use endless::plan::{ListenerSpec, Plan, Resolver, Surroundings};
use endless::runtime::notify::{self, Said};
use proptest::prelude::*;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};

fn resolver() -> Resolver {
    Resolver::by(
        || true,
        |host| match host {
            "localhost" => Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
            _ => Err("not known".to_owned()),
        },
    )
}

fn surroundings() -> Surroundings {
    let environment = vec![("PATH".into(), "/bin:/usr/bin".into())];
    Surroundings { inherited: vec![], ipv6: || true, environment }
}

fn inet() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        Just("localhost:".to_owned()),
        Just("*:".to_owned()),
        Just(":".to_owned()),
        Just(String::new()),
        any::<Ipv4Addr>().prop_map(|ip| format!("{ip}:")),
        any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]:")),
    ];
    let kind = prop_oneof![Just(""), Just("udp:"), Just("tcp:")];
    (kind, host, any::<u16>()).prop_map(|(kind, host, port)| format!("{kind}{host}{port}"))
}

fn unix() -> impl Strategy<Value = String> {
    let kind = prop_oneof![Just("unix:"), Just("unix-dgram:"), Just("unix-seqpacket:")];
    let name = prop_oneof!["@[a-zA-Z0-9_./=:-]{1,40}[a-z]", "/[a-zA-Z0-9_./=: é-]{1,40}[a-z]", "[a-z./]{0,20}[a-z]"];
    (kind, name).prop_map(|(kind, name)| format!("{kind}{name}"))
}

fn address() -> impl Strategy<Value = String> {
    let descriptor = (0..2000).prop_map(|number| format!("fd:{number}"));
    let cid =
        prop_oneof![Just("any".to_owned()), Just("local".to_owned()), (0..u32::MAX).prop_map(|cid| cid.to_string())];
    let vsock = (cid, 0..u32::MAX).prop_map(|(cid, port)| format!("vsock:{cid}:{port}"));
    prop_oneof![inet(), unix(), vsock, descriptor, "fd:[a-z]{1,9}", "/[a-z./=]{0,30}[a-z]"]
}

fn option() -> impl Strategy<Value = String> {
    let number = 1..2000i32;
    prop_oneof![
        number.clone().prop_map(|n| format!("backlog={n}")),
        (0..0o777u32).prop_map(|mode| format!("mode={mode:o}")),
        number.clone().prop_map(|n| format!("user={n}")),
        number.clone().prop_map(|n| format!("group={n}")),
        Just("v6only=yes".to_owned()),
        Just("v6only=no".to_owned()),
        Just("freebind".to_owned()),
        Just("transparent".to_owned()),
        Just("device=eth0".to_owned()),
        any::<u32>().prop_map(|n| format!("mark={n}")),
        any::<u32>().prop_map(|n| format!("mark={n:#x}")),
        number.clone().prop_map(|n| format!("fastopen={n}")),
        number.clone().prop_map(|n| format!("defer-accept={n}")),
        (1..100, 1..100, 1..100).prop_map(|(idle, every, count)| format!("keepalive={idle}/{every}/{count}")),
        Just("nodelay".to_owned()),
        number.clone().prop_map(|n| format!("rcvbuf={n}K")),
        number.clone().prop_map(|n| format!("sndbuf={n}")),
        Just("congestion=bbr".to_owned()),
        Just("nonblock=no".to_owned()),
        Just("nonblock=yes".to_owned()),
        Just("share=yes".to_owned()),
        (3..2000).prop_map(|n| format!("fd={n}")),
    ]
}

proptest! {
    #[test]
    fn a_listener_is_read_back_as_it_was_written(
        name in prop_oneof![Just(String::new()), "[a-zA-Z0-9_.-]{1,20}="],
        address in address(),
        wanted in proptest::collection::vec(option(), 0..6),
    ) {
        let alone = ListenerSpec::parse(&format!("{name}{address}"), &mut resolver()).expect("an address of the grammar");
        let mut text = format!("{name}{address}");
        for option in wanted {
            let longer = format!("{text},{option}");
            if ListenerSpec::parse(&longer, &mut resolver()).is_ok() {
                text = longer;
            }
        }
        let spec = ListenerSpec::parse(&text, &mut resolver()).expect("only fitting options");
        prop_assert_eq!(&spec.address, &alone.address);
        let canonical = spec.to_string();
        let again = ListenerSpec::parse(&canonical, &mut resolver()).expect("the canonical form is of the grammar");
        prop_assert_eq!(again.to_string(), canonical.clone());
        prop_assert_eq!(ListenerSpec { flag: spec.flag.clone(), ..again }, spec);
    }

    #[test]
    fn no_listener_makes_it_panic(text in ".*") {
        let _ = ListenerSpec::parse(&text, &mut resolver());
    }

    #[test]
    fn no_near_miss_makes_it_panic(parts in proptest::collection::vec(
        prop_oneof![address(), option(), Just(",".to_owned()), Just("=".to_owned()), Just(":".to_owned()), Just("[".to_owned()), "\\PC{0,3}"], 0..6,
    )) {
        if let Ok(spec) = ListenerSpec::parse(&parts.concat(), &mut resolver()) {
            let again = ListenerSpec::parse(&spec.to_string(), &mut resolver()).expect("the canonical form is of the grammar");
            prop_assert_eq!(ListenerSpec { flag: spec.flag.clone(), ..again }, spec);
        }
    }

    #[test]
    fn no_option_makes_it_panic(place in 0usize..100, value in prop_oneof![".*", "[a-z0-9=:/,.-]{0,20}", "-?[0-9.]{1,25}[a-z]{0,3}"]) {
        let command = cli::command();
        let options: Vec<_> = command.get_arguments().filter(|arg| arg.get_action().takes_values()).filter_map(clap::Arg::get_long).collect();
        let long = options[place % options.len()];
        // A host name would be looked up.
        prop_assume!(long != "listen");
        let line = ["endless".to_owned(), format!("--{long}={value}"), "--".to_owned(), "true".to_owned()];
        if let Ok(Invocation::Run(args)) = cli::parse(line.into_iter().map(OsString::from), &[]) {
            let _ = Plan::new(&args, &surroundings());
        }
    }

    #[test]
    fn no_datagram_breaks_or_forges_a_line_of_the_log(parts in proptest::collection::vec(
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..9),
            Just(b"READY=1".to_vec()), Just(b"STATUS=".to_vec()), Just(b"STOPPING=1".to_vec()), Just(b"\n".to_vec()),
            Just("\u{85}\u{2028}\u{9b}".as_bytes().to_vec()),
        ], 0..12,
    )) {
        let datagram = parts.concat();
        let said = notify::parse(&datagram);
        prop_assert!(said.len() <= datagram.split(|byte| *byte == b'\n').count());
        for said in said {
            if let Said::Status(text) = said {
                prop_assert!(!text.contains(char::is_control), "{text:?}");
            }
        }
    }

    #[test]
    fn no_command_line_makes_it_panic(words in proptest::collection::vec(prop_oneof![".*", "-{1,2}[a-z-]{0,9}", Just("--".to_owned())], 0..8)) {
        let _ = cli::parse(words.into_iter().map(OsString::from), &[]);
    }
}

#[test]
fn durations_are_read_back_as_they_are_shown() {
    for text in ["0", "1", "1.5", "90s", "2m 30s", "1500ms", "1h 1ms"] {
        let line = ["endless", "--hammer", text, "--", "true"].map(OsString::from);
        let Ok(Invocation::Run(args)) = cli::parse(line, &[]) else { panic!("{text}") };
        let hammer = Plan::new(&args, &surroundings()).unwrap().lifecycle.hammer.unwrap();
        let shown = humantime::format_duration(hammer).to_string();
        assert_eq!(humantime::parse_duration(&shown).unwrap(), hammer, "{text}");
    }
}
