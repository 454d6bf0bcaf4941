//! All the listeners of a plan: those of `-l`, or those a service manager passed in.

use super::text::is_name;
use super::{Address, InheritedRef, ListenerSpec, Resolver, SocketOptions, UnixKind, UnixName};
use crate::plan::error::{Error, Fault};
use crate::plan::surroundings::{InheritedSocket, Surroundings};
use std::collections::{HashMap, HashSet};
use std::path::Path;

const FLAG: &str = "--listen";

/// Reads all `-l`, in order; without any, every socket passed in is a listener.
pub(in crate::plan) fn read(flags: &[String], around: &Surroundings) -> Result<Vec<ListenerSpec>, Error> {
    if flags.is_empty() {
        return Ok(adopt_all(&around.inherited));
    }
    let mut resolver = Resolver::of_system(around.ipv6);
    let mut list = Vec::with_capacity(flags.len());
    let mut pick = Picker::new(&around.inherited);
    for flag in flags {
        let read = ListenerSpec::parse(flag, &mut resolver).and_then(|spec| pick.resolve(spec));
        list.push(read.map_err(|fault| fault.at(FLAG, flag))?);
    }
    refuse_clashes(&list)?;
    Ok(list)
}

/// One listener for each socket passed in. Names need not be unique there (sd_listen_fds(3)); here the second `app` is
/// called `app-2`.
fn adopt_all(inherited: &[InheritedSocket]) -> Vec<ListenerSpec> {
    let mut taken = HashSet::new();
    inherited
        .iter()
        .map(|socket| {
            let typed = format!("fd:{}", socket.fd);
            let wanted = socket.name.as_deref().map_or_else(|| format!("fd-{}", socket.fd), clean_name);
            let mut name = wanted.clone();
            let mut count = 1;
            while !taken.insert(name.clone()) {
                count += 1;
                name = format!("{wanted}-{count}");
            }
            let address = Address::Inherited(InheritedRef::Number(socket.fd));
            ListenerSpec { name, flag: typed.clone(), typed, address, options: SocketOptions::default() }
        })
        .collect()
}

fn clean_name(name: &str) -> String {
    let clean: String =
        name.chars().take(240).map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' }).collect();
    if is_name(&clean) { clean } else { "unknown".to_owned() }
}

/// Finds the sockets that `fd:N` and `fd:NAME` mean.
struct Picker<'a> {
    numbers: HashSet<i32>,
    inherited: &'a [InheritedSocket],
    can_see: Option<bool>,
}

impl<'a> Picker<'a> {
    fn new(inherited: &'a [InheritedSocket]) -> Picker<'a> {
        Picker { numbers: inherited.iter().map(|socket| socket.fd).collect(), inherited, can_see: None }
    }

    /// Turns a name into its number; a number must be an open descriptor.
    fn resolve(&mut self, mut spec: ListenerSpec) -> Result<ListenerSpec, Fault> {
        match &spec.address {
            Address::Inherited(InheritedRef::Name(name)) => {
                spec.address = Address::Inherited(InheritedRef::Number(self.by_name(name)?));
            }
            Address::Inherited(InheritedRef::Number(number)) if !self.is_open(*number) => {
                return Err(Fault::new(format!("descriptor {number} is not open"), self.advice()));
            }
            _ => {}
        }
        Ok(spec)
    }

    fn by_name(&self, name: &str) -> Result<i32, Fault> {
        let mut found = self.inherited.iter().filter(|socket| socket.name.as_deref() == Some(name));
        match (found.next(), found.next()) {
            (Some(socket), None) => Ok(socket.fd),
            (Some(first), Some(second)) => {
                let reason = format!("several sockets passed in are called `{name}`");
                Err(Fault::new(reason, format!("pick one by its number: fd:{} or fd:{}", first.fd, second.fd)))
            }
            (None, _) => Err(Fault::new(format!("no socket called `{name}` was passed in"), self.advice())),
        }
    }

    /// Whether endless was started with it: passed in by a service manager, or any other open descriptor.
    fn is_open(&mut self, number: i32) -> bool {
        let can_see = |seen: &mut Option<bool>| *seen.get_or_insert_with(|| Path::new("/proc/self/fd").is_dir());
        self.numbers.contains(&number)
            || !can_see(&mut self.can_see)
            || Path::new(&format!("/proc/self/fd/{number}")).symlink_metadata().is_ok()
    }

    fn advice(&self) -> String {
        if self.inherited.is_empty() {
            return "no sockets were passed in (LISTEN_FDS with a LISTEN_PID that is this process'); give an address, or open \
                    the descriptor before endless starts"
                .to_owned();
        }
        let show = |socket: &InheritedSocket| match &socket.name {
            Some(name) => format!("fd:{} ({name})", socket.fd),
            None => format!("fd:{}", socket.fd),
        };
        let all: Vec<String> = self.inherited.iter().take(10).map(show).collect();
        format!("passed in were: {}", all.join(", "))
    }
}

/// Names, addresses and descriptor numbers are each used once.
fn refuse_clashes(list: &[ListenerSpec]) -> Result<(), Error> {
    let mut names = HashMap::with_capacity(list.len());
    let mut addresses = HashMap::with_capacity(list.len());
    let mut numbers = HashMap::new();
    for spec in list {
        if let Some(other) = clash_key(&spec.address).and_then(|key| addresses.insert(key, spec)) {
            let reason = format!("this is the address of --listen {} as well", other.flag);
            return Err(Fault::new(reason, "take one of them away").at(FLAG, &spec.flag));
        }
        if let Some(other) = names.insert(spec.name.as_str(), spec) {
            let reason = format!("the name `{}` is that of --listen {} as well", spec.name, other.flag);
            let hint = format!("give this one another name: NAME={}", spec.typed);
            return Err(Fault::new(reason, hint).at(FLAG, &spec.flag));
        }
        if let Some((number, other)) = spec.options.fd.and_then(|fd| Some((fd, numbers.insert(fd, spec)?))) {
            let reason = format!("descriptor {number} is taken by --listen {}", other.flag);
            return Err(Fault::new(reason, "another fd=N, or none").at(FLAG, &spec.flag));
        }
    }
    Ok(())
}

/// What two listeners cannot both have; None where they can: the kernel chooses another port each time.
fn clash_key(address: &Address) -> Option<Address> {
    match address {
        Address::Tcp { at, .. } => (at.port() != 0).then_some(Address::Tcp { at: *at, any: false }),
        Address::Udp { at, .. } => (at.port() != 0).then_some(Address::Udp { at: *at, any: false }),
        Address::Unix { name: name @ UnixName::Path(_), .. } => {
            Some(Address::Unix { kind: UnixKind::Stream, name: name.clone() })
        }
        other => Some(other.clone()),
    }
}
