//! Whatever stands behind `--listen`: it never panics, and what is accepted is read back as it is written.

#![no_main]

use endless::plan::{ListenerSpec, Resolver};
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr};

fuzz_target!(|text: &str| {
    let mut resolver = Resolver::by(|| true, |host| match host {
        "localhost" => Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
        _ => Err("not known".to_owned()),
    });
    let Ok(spec) = ListenerSpec::parse(text, &mut resolver) else { return };
    let again = ListenerSpec::parse(&spec.to_string(), &mut resolver).expect("the canonical form is of the grammar");
    assert_eq!(ListenerSpec { flag: spec.flag.clone(), ..again }, spec);
});
