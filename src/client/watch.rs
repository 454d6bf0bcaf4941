//! `endless status --watch`: the same, again every second, in place.
//!
//! The terminal's alternate screen is used, so that what was there comes back at the end; lines are cut to its width, and
//! a change of its size draws again at once. q, Ctrl-C and the end of the input end it.

use super::connection::poll_timeout;
use super::{Error, find, status, table, tell};
use crate::plan::Asking;
use crate::sys::terminal::{self, Keys};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use std::fmt::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Draws until it is told to end.
pub(super) fn run(asking: &Asking) -> Result<u8, Error> {
    let failed = |error: std::io::Error| Error::not_done(format!("--watch: {error}"));
    if terminal::size().is_none() {
        return Err(Error::not_done("--watch needs a terminal\nhint: endless status --json, as often as you like"));
    }
    let (resized, ended) = (UnixStream::pair().map_err(failed)?, UnixStream::pair().map_err(failed)?);
    signal_hook::low_level::pipe::register(nix::libc::SIGWINCH, resized.1).map_err(failed)?;
    for signal in [nix::libc::SIGINT, nix::libc::SIGTERM, nix::libc::SIGHUP] {
        let writer = ended.1.try_clone().map_err(failed)?;
        signal_hook::low_level::pipe::register(signal, writer).map_err(failed)?;
    }
    resized.0.set_nonblocking(true).map_err(failed)?;
    let keys = Keys::one_by_one();
    tell(ENTER);
    let code = draw_until(asking, &resized.0, &ended.0, &keys);
    tell(LEAVE);
    drop(keys);
    Ok(code)
}

/// Returns 0 when what is watched was up at the last look, else 3.
fn draw_until(asking: &Asking, resized: &UnixStream, ended: &UnixStream, keys: &Keys) -> u8 {
    loop {
        let page = page(asking);
        let (rows, columns) = terminal::size().unwrap_or((24, 80));
        tell(&screen(page.as_deref().unwrap_or_else(|error| &error.message), rows, columns));
        let code = page.map_or_else(|error| error.code, |_| 0);
        let input = keys.as_fd();
        let mut set = [resized.as_fd(), ended.as_fd(), input].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut set, poll_timeout(Some(EVERY))) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(_) => return code,
        }
        let [resize, end, key] = set.map(|fd| fd.revents().is_some_and(|events| !events.is_empty()));
        if resize {
            use std::io::Read;
            let mut reader = resized;
            while reader.read(&mut [0u8; 64]).is_ok_and(|length| length == 64) {}
        }
        if end || key && keys.ends() {
            return code;
        }
    }
}

fn page(asking: &Asking) -> Result<String, Error> {
    if asking.name.is_some() || asking.control.is_some() {
        return Ok(table::detail(&status::of(&mut find::one(asking)?.connection)?));
    }
    let mut all: Vec<_> = find::all().into_iter().filter_map(|mut one| status::of(&mut one.connection).ok()).collect();
    match all.len() {
        0 => Err(Error::not_running("no endless of this user is running")),
        1 => Ok(table::detail(&all.swap_remove(0))),
        _ => Ok(table::all(&all)),
    }
}

/// The page from the upper left corner on, each line cut at the right edge, the rest cleared.
fn screen(page: &str, rows: usize, columns: usize) -> String {
    let mut text = String::from("\x1b[H");
    for line in page.lines().take(rows.saturating_sub(1)) {
        let cut: String = line.chars().take(columns).collect();
        let _ = write!(text, "{cut}\x1b[K\r\n");
    }
    text + "\x1b[J"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_fits_the_screen() {
        assert_eq!(screen("abcdef\ngh\nlast", 3, 4), "\x1b[Habcd\x1b[K\r\ngh\x1b[K\r\n\x1b[J");
    }
}
