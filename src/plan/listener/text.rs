//! The text form of a listener: reading `[NAME=]ADDRESS[,OPTION]...` and writing it back.

use super::{Address, InheritedRef, ListenerSpec, Resolver, SocketOptions, address, options};
use crate::plan::error::Fault;
use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

/// The longest name of a descriptor, in bytes (sd_listen_fds(3)).
const LONGEST_NAME: usize = 255;

impl ListenerSpec {
    /// The descriptor that `fd:N` names.
    #[must_use]
    pub fn descriptor(&self) -> Option<i32> {
        match self.address {
            Address::Inherited(InheritedRef::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// Reads `[NAME=]ADDRESS[,OPTION]...`.
    ///
    /// What stands before the first `=` is a NAME when it has only letters, digits, `_`, `.` and `-`: a path, which has a
    /// `/`, and an option, which follows a comma, never look like one.
    ///
    /// # Errors
    /// A name, an address or an option that is none, or an option that does not fit the socket.
    pub fn parse(flag: &str, resolver: &mut Resolver) -> Result<ListenerSpec, Fault> {
        let suspect = flag.bytes().any(|byte| byte.is_ascii_control() || !byte.is_ascii());
        if suspect && let Some(control) = flag.chars().find(|c| c.is_control()) {
            let reason = format!("there is a control character, {control:?}, in it");
            return Err(Fault::new(reason, "take it away"));
        }
        let (name, rest) = split_name(flag)?;
        let (typed, option_text) = match rest.split_once(',') {
            Some((typed, options)) => (typed, Some(options)),
            None => (rest, None),
        };
        let address = address::parse(typed, resolver)?;
        let options = match option_text {
            Some(text) => options::parse(text, &address)?.into(),
            None => Rc::default(),
        };
        let name = name.map_or_else(|| default_name(typed).into(), Rc::from);
        let whole: Rc<str> = flag.into();
        let typed = if typed == flag { Rc::clone(&whole) } else { typed.into() };
        Ok(ListenerSpec { name, typed, flag: whole, address, options })
    }
}

/// True when a listener, or endless itself, can be called this.
pub(in crate::plan) fn is_name(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    !text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(good)
}

fn split_name(flag: &str) -> Result<(Option<&str>, &str), Fault> {
    let Some((name, rest)) = flag.split_once('=') else { return Ok((None, flag)) };
    if is_name(name) {
        return Ok((Some(name), rest));
    }
    if name.contains([':', '/', ',', '[', '*', '@']) {
        return Ok((None, flag));
    }
    let rule = "a NAME is 1 to 255 letters, digits, `_`, `.` and `-`, as in web=localhost:4242";
    Err(Fault::new(format!("`{name}` cannot be the name of a listener"), rule))
}

/// The name of a listener that was given none: the address as typed, with `-` for what LISTEN_FDNAMES cannot hold; for
/// `fd:NAME` that NAME.
fn default_name(typed: &str) -> Cow<'_, str> {
    let typed = match typed.strip_prefix("fd:") {
        Some(name) if !name.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => typed,
    };
    let mut end = typed.len().min(LONGEST_NAME);
    while !typed.is_char_boundary(end) {
        end -= 1;
    }
    let typed = &typed[..end];
    if typed.contains(':') { typed.replace(':', "-").into() } else { typed.into() }
}

/// The canonical form: it parses to the same listener.
impl fmt::Display for ListenerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self.name != *default_name(&self.typed) {
            write!(f, "{}=", self.name)?;
        }
        write!(f, "{}{}", self.typed, self.options)
    }
}

/// The options in a fixed order, each after a comma; nothing for defaults.
impl fmt::Display for SocketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut option = |name: &str, given: Option<&dyn fmt::Display>| match given {
            Some(given) => write!(f, ",{name}={given}"),
            None => Ok(()),
        };
        let yes = |on: bool| on.then_some(&"yes" as &dyn fmt::Display);
        let mode = self.mode.map(|mode| format!("{mode:04o}"));
        let said = |on: bool| if on { "yes" } else { "no" };
        let (v6only, nonblock) = (self.v6only.map(said), self.nonblock.map(said));
        let keepalive =
            self.keepalive.map(|(idle, interval, count)| format!("{}/{}/{count}", idle.as_secs(), interval.as_secs()));
        option("backlog", shown(&self.backlog))?;
        option("mode", shown(&mode))?;
        option("user", shown(&self.user))?;
        option("group", shown(&self.group))?;
        option("v6only", shown(&v6only))?;
        option("freebind", yes(self.freebind))?;
        option("transparent", yes(self.transparent))?;
        option("device", shown(&self.device))?;
        option("mark", shown(&self.mark))?;
        option("fastopen", shown(&self.fastopen))?;
        option("defer-accept", shown(&self.defer_accept))?;
        option("keepalive", shown(&keepalive))?;
        option("nodelay", yes(self.nodelay))?;
        option("rcvbuf", shown(&self.rcvbuf))?;
        option("sndbuf", shown(&self.sndbuf))?;
        option("congestion", shown(&self.congestion))?;
        option("nonblock", shown(&nonblock))?;
        option("share", yes(self.share))?;
        option("fd", shown(&self.fd))
    }
}

fn shown<T: fmt::Display>(given: &Option<T>) -> Option<&dyn fmt::Display> {
    given.as_ref().map(|given| given as &dyn fmt::Display)
}
