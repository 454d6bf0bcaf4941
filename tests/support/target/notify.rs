//! The words that speak to NOTIFY_SOCKET (sd_notify(3)).

use super::{generation, say};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;
use std::{env, thread};

/// One datagram.
pub fn say_it(text: &str) {
    send(text, &[]);
    say(&format!("said {}", text.replace('\n', " ")));
}

fn send(text: &str, fds: &[RawFd]) {
    let path = env::var_os("NOTIFY_SOCKET").expect("NOTIFY_SOCKET");
    let socket = UnixDatagram::unbound().unwrap();
    let rights = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights[..] };
    let to = UnixAddr::new(Path::new(&path)).unwrap();
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(text.as_bytes())], control, MsgFlags::empty(), Some(&to)).unwrap();
}

/// A pipe whose reading end is kept by endless, and that says which generation has left it.
pub fn store(name: &str) {
    let (read, mut write) = std::io::pipe().unwrap();
    writeln!(write, "left by generation {}", generation()).unwrap();
    // A pipe without a writer has hung up: so one lives on, in this process and no longer.
    send(&format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0"), &[read.as_raw_fd()]);
    say(&format!("stored {name}"));
}

/// Reads it.
pub fn stored(name: &str) {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    say(&format!("names {names}"));
    let Some(place) = names.split(':').position(|known| known == name) else { return say(&format!("no {name}")) };
    // SAFETY: whoever set LISTEN_FDNAMES has opened it for us, and nothing else here uses it.
    let mut file = unsafe { File::from_raw_fd(3 + RawFd::try_from(place).unwrap()) };
    let mut text = [0u8; 64];
    let length = file.read(&mut text).unwrap();
    say(&format!("found {}", String::from_utf8_lossy(&text[..length]).trim()));
}

/// Again and again.
pub fn alive(millis: u64) {
    say(&format!("WATCHDOG_USEC is {}", env::var("WATCHDOG_USEC").unwrap_or_default()));
    thread::spawn(move || {
        while !Path::new("silent").exists() {
            send("WATCHDOG=1", &[]);
            thread::sleep(Duration::from_millis(millis));
        }
        say("is silent");
    });
}

/// A pipe whose other end is closed by whoever gets it.
pub fn barrier() {
    let (mut read, write) = std::io::pipe().unwrap();
    send("BARRIER=1", &[write.as_raw_fd()]);
    drop(write);
    assert_eq!(read.read(&mut [0u8]).unwrap(), 0);
    say("the barrier is answered");
}
