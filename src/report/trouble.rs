//! What is probably wrong with a copy, as a line with the way out.

use crate::notice::{Format, Trouble, Unseen};
use crate::words::GenerationId;

const UNUSED: &str = "it has closed the sockets it was handed: its configuration names other addresses than --listen, or it \
                      takes sockets in another way (`endless presets`, docs/servers.md)";

/// The line.
#[must_use]
pub fn render(generation: GenerationId, trouble: &Trouble) -> String {
    let what = match trouble {
        Trouble::Daemonized { name, pid, flag } => {
            let flag = flag.as_ref().map_or("its option for the foreground".to_owned(), |flag| format!("`{flag}`"));
            format!("it daemonized: its main process has ended and {name} (pid {pid}) goes on; {flag} prevents that")
        }
        Trouble::BindsItself { address, captured: true, .. } => format!(
            "it says that {address} is in use: endless holds it and would have given it the socket, but has not seen it bind \
             (io_uring, 32-bit programs): let it take its sockets from --listen (`endless presets`, docs/servers.md)"
        ),
        Trouble::BindsItself { address, said, captured: false } => {
            let sign = if *said {
                format!("it says that {address} is in use: endless holds it, and it")
            } else {
                format!("its arguments name {address}, which endless holds; if it says that the address is in use, it")
            };
            format!(
                "{sign} takes no inherited sockets that way: --capture always gives it the one it binds; `endless presets` \
                 and docs/servers.md say how servers take theirs"
            )
        }
        Trouble::Unseen { port, why } => format!(
            "the copy before it listens on port {port} at a socket endless does not know ({}); if this one says that the \
             address is in use, let it take its sockets from --listen (`endless presets`, docs/servers.md)",
            because(*why)
        ),
        Trouble::WrongPid { wrapper, main, server, pid } => format!(
            "{server} (pid {pid}) is a child of {wrapper}, and LISTEN_PID is {main}, that of {wrapper}, so most servers ignore \
             their sockets: put `endless exec --` in front of {server}, or `exec` where {wrapper} starts it"
        ),
        Trouble::Closed { wrapper, server: Some((server, pid)) } => format!(
            "{server} (pid {pid}) does not have the sockets: {wrapper} has closed them; --pass stdin gets through, or start \
             it without {wrapper}"
        ),
        Trouble::Closed { wrapper, server: None } => format!(
            "{wrapper} closes every descriptor above 2 before it starts another program, so that one has no sockets: \
             --pass stdin gets through, or start it without {wrapper}"
        ),
        Trouble::Unused => UNUSED.to_owned(),
        Trouble::Deaf { listeners, after } => format!(
            "it said that it serves, and has taken nobody of those who have waited at {} for {}: does it use the sockets it \
             was given?",
            list(listeners),
            humantime::format_duration(*after)
        ),
        Trouble::NotExecutable { file, why } => unfit(file, why),
    };
    format!("generation {generation}: {what}")
}

fn unfit(file: &str, why: &Format) -> String {
    match why {
        Format::Interpreter(path) => {
            format!(
                "the first line of {file} names {path} as its interpreter, which does not exist: install it, or change the line"
            )
        }
        Format::CarriageReturn(path) => format!(
            "the lines of {file} end as in Windows, and no interpreter is called {path} with a carriage return: \
             sed -i 's/\\r$//' {file}"
        ),
        Format::NoInterpreter => {
            format!("{file} is no program; a script needs a first line that names its interpreter, such as #!/bin/sh")
        }
        Format::Loader(path) => format!(
            "{file} asks for the loader {path}, which does not exist: it was built for another C library or system (glibc, \
             musl); a static build needs none"
        ),
        Format::Machine(machine) => {
            format!("{file} is a program for {machine}, and this machine is {}", std::env::consts::ARCH)
        }
        Format::Damaged => format!("{file} is not a whole program: was it copied to its end?"),
        Format::Empty => format!("{file} is empty: was it copied to its end?"),
    }
}

fn because(why: Unseen) -> &'static str {
    match why {
        Unseen::NotAsked => "--capture never",
        Unseen::Refused => "it could not be captured, see above",
        Unseen::Passed => "it was made by io_uring, by a 32-bit program, or too late",
    }
}

/// `a`, `a and b`, `a, b and c`.
fn list(words: &[String]) -> String {
    match words {
        [first @ .., before, last] if !first.is_empty() => format!("{}, {before} and {last}", first.join(", ")),
        words => words.join(" and "),
    }
}

/// Its name, for machines.
#[must_use]
pub fn name(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Daemonized { .. } => "daemonized",
        Trouble::BindsItself { .. } => "binds-itself",
        Trouble::Unseen { .. } => "unseen",
        Trouble::WrongPid { .. } => "wrong-listen-pid",
        Trouble::Closed { .. } => "sockets-closed",
        Trouble::Unused => "sockets-unused",
        Trouble::Deaf { .. } => "deaf",
        Trouble::NotExecutable { .. } => "not-executable",
    }
}
