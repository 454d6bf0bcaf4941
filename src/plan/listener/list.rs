//! All the listeners of a plan: those of `-l`, or those a service manager passed in.

use super::text::is_name;
use super::{Address, InheritedRef, ListenerSpec, Resolver, UnixKind, UnixName};
use crate::plan::error::{Error, Fault};
use crate::plan::surroundings::{InheritedSocket, Surroundings};
use std::collections::HashSet;
use std::path::Path;
use std::rc::Rc;

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
        let mut spec = read.map_err(|fault| fault.at(FLAG, flag))?;
        // Of thousands nearly all have the same options.
        if let Some(before) = list.last().filter(|before: &&ListenerSpec| before.options == spec.options) {
            spec.options = Rc::clone(&before.options);
        }
        list.push(spec);
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
            let typed: Rc<str> = format!("fd:{}", socket.fd).into();
            let wanted = socket.name.as_deref().map_or_else(|| format!("fd-{}", socket.fd), clean_name);
            let mut name = wanted.clone();
            let mut count = 1;
            while !taken.insert(name.clone()) {
                count += 1;
                name = format!("{wanted}-{count}");
            }
            let address = Address::Inherited(InheritedRef::Number(socket.fd));
            ListenerSpec { name: name.into(), flag: Rc::clone(&typed), typed, address, options: Rc::default() }
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
    let address = first_twice(list, |spec| clash_key(&spec.address)).map(|(at, other)| {
        let reason = format!("this is the address of --listen {} as well", other.flag);
        (at, Fault::new(reason, "take one of them away"))
    });
    let name = first_twice(list, |spec| Some(&*spec.name)).map(|(at, other)| {
        let reason = format!("the name `{}` is that of --listen {} as well", other.name, other.flag);
        (at, Fault::new(reason, format!("give this one another name: NAME={}", list[at].typed)))
    });
    let number = first_twice(list, |spec| spec.options.fd).map(|(at, other)| {
        let reason = format!("descriptor {} is taken by --listen {}", other.options.fd.unwrap_or_default(), other.flag);
        (at, Fault::new(reason, "another fd=N, or none"))
    });
    match [address, name, number].into_iter().flatten().min_by_key(|(at, _)| *at) {
        Some((at, fault)) => Err(fault.at(FLAG, &*list[at].flag)),
        None => Ok(()),
    }
}

/// The place of the first listener with a key that one before it has, and that one. They are sorted, for thousands are
/// mostly typed in order, and then that takes next to no time.
fn first_twice<'a, K: Ord>(
    list: &'a [ListenerSpec],
    key: impl Fn(&'a ListenerSpec) -> Option<K>,
) -> Option<(usize, &'a ListenerSpec)> {
    let keys = list.iter().enumerate().filter_map(|(at, spec)| Some((key(spec)?, at)));
    let mut keys: Vec<(K, usize)> = keys.collect();
    keys.sort_unstable();
    let twice = keys.windows(2).filter(|two| two[0].0 == two[1].0);
    twice.map(|two| (two[1].1, &list[two[0].1])).min_by_key(|(at, _)| *at)
}

/// What two listeners cannot both have; None where they can: the kernel chooses another port each time.
fn clash_key(address: &Address) -> Option<Address> {
    match address {
        Address::Tcp { at, .. } => (at.port() != 0).then_some(Address::Tcp { at: *at, any: false }),
        Address::Udp { at, .. } => (at.port() != 0).then_some(Address::Udp { at: *at, any: false }),
        Address::Vsock(at) => (at.port != 0).then_some(Address::Vsock(*at)),
        Address::Unix { name: name @ UnixName::Path(_), .. } => {
            Some(Address::Unix { kind: UnixKind::Stream, name: name.clone() })
        }
        other => Some(other.clone()),
    }
}
