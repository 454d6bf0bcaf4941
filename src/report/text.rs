//! A notice as a line for people, and how much it matters.

use super::{Pids, trouble};
use crate::notice::{Level, Notice};
use crate::words::{GenerationId, Sig};
use humantime::format_duration;
use std::time::Duration;

/// How much a notice matters.
#[must_use]
pub fn level(notice: &Notice) -> Level {
    match notice {
        Notice::Failed { .. }
        | Notice::HandedBack { .. }
        | Notice::Hammered { .. }
        | Notice::Stuck { .. }
        | Notice::Diagnosis { .. }
        | Notice::GaveUp { .. }
        | Notice::HookFailed { .. }
        | Notice::Refused { .. }
        | Notice::PathRestored { .. }
        | Notice::Respawning { .. }
        | Notice::Exited { expected: false, .. } => Level::Problem,
        Notice::Guarding { .. } | Notice::Status { .. } | Notice::Drained { .. } => Level::Detail,
        Notice::DrainLimit { waits, .. } if waits.busy > 0 => Level::Problem,
        Notice::Note { level, .. } => *level,
        _ => Level::Normal,
    }
}

/// The line, without time stamp and prefix.
#[must_use]
pub fn render(notice: &Notice, pids: &Pids) -> String {
    let named = |generation: &GenerationId| match pids.get(generation) {
        Some(pid) => format!("generation {generation} (pid {pid})"),
        None => format!("generation {generation}"),
    };
    match notice {
        Notice::Listening { name, address, shared } => listening(name, address, shared.as_deref()),
        Notice::Starting { generation } => format!("starting {}", named(generation)),
        Notice::Ready { generation, sign, took } => {
            format!("{} is ready after {}: {sign}", named(generation), rounded(*took))
        }
        Notice::Failed { generation, failure, kept: Some(kept) } => {
            format!("generation {generation} failed: {failure}; {} goes on", named(kept))
        }
        Notice::Failed { generation, failure, kept: None } => format!("generation {generation} failed: {failure}"),
        Notice::Crowded => "many copies still retire; the restart waits up to 1s for one to be gone".to_owned(),
        Notice::Remembered => "a restart is under way; this one follows it".to_owned(),
        Notice::Refused { what, why } => format!("{what} not carried out: {why}"),
        Notice::Asked { signal, sender, what } => asked(*signal, *sender, what),
        Notice::Changed { path, what } => format!("{path} has changed: {what}"),
        Notice::Guarding { generation, length } => {
            format!("{} stands guard for {}", named(generation), format_duration(*length))
        }
        Notice::HandedBack { from, to, exit } => {
            format!("{} ended before the restart was over ({exit}); {} serves again", named(from), named(to))
        }
        Notice::Retiring { generation } => format!("retiring {}", named(generation)),
        Notice::Drained { .. } | Notice::DrainLimit { .. } | Notice::Waiting { .. } => drain(notice, &named),
        Notice::Stopping { generation, signal } => format!("sending {signal} to {}", named(generation)),
        Notice::Stuck { generation, silence } => stuck(&named(generation), *silence),
        Notice::Hammered { generation } => {
            format!("[STOP - Hammer Time] Forcefully shutting down {}", named(generation))
        }
        Notice::Exited { generation, exit, expected: true } => format!("{} ended ({exit})", named(generation)),
        Notice::Exited { generation, exit, .. } => format!("{} ended by itself ({exit})", named(generation)),
        Notice::Survivors { generation, pids } => survivors(*generation, pids),
        Notice::Gone { generation } => format!("generation {generation} is gone"),
        Notice::Respawning { generation, exit, delay } => {
            format!("generation {generation} is to be replaced ({exit}): next start in {}", rounded(*delay))
        }
        Notice::GaveUp { ends, within } => gave_up(*ends, *within),
        Notice::HookFailed { point, command, why } => format!("hook {point} {command:?} failed: {why}"),
        Notice::Diagnosis { generation, what } => trouble::render(*generation, what),
        Notice::Status { generation, text } => format!("{} says: {text}", named(generation)),
        Notice::Shared { name, why } => format!("all generations share one socket at {name}: {why}"),
        Notice::PathRestored { path, what } => format!("{path} was {what} by a copy; it is back in place"),
        Notice::Upgraded { from, to } => format!("endless {to} has taken over from endless {from}"),
        Notice::Finished { code } => format!("everything is gone; exiting with status {code}"),
        Notice::Note { text, .. } => text.clone(),
    }
}

fn asked(signal: Option<Sig>, sender: Option<i32>, what: &str) -> String {
    let signal = signal.map_or_else(|| "request".to_owned(), |signal| signal.to_string());
    let from = sender.map(|sender| format!(" from pid {sender}")).unwrap_or_default();
    format!("{signal}{from}: {what}")
}

fn gave_up(ends: u32, within: Duration) -> String {
    format!("it ended {ends} times within {}: giving up (--respawn-limit)", format_duration(within))
}

fn stuck(named: &str, silence: Option<Duration>) -> String {
    match silence {
        Some(silence) => format!("{named} is stuck: no WATCHDOG=1 for {}", format_duration(silence)),
        None => format!("{named} says that it is stuck"),
    }
}

fn listening(name: &str, address: &str, shared: Option<&str>) -> String {
    let label = if name == address.replace(':', "-") { String::new() } else { format!(" ({name})") };
    match shared {
        Some(why) => format!("listening on {address}{label}, one socket for all generations: {why}"),
        None => format!("listening on {address}{label}"),
    }
}

fn survivors(generation: GenerationId, pids: &[(i32, String)]) -> String {
    let names: Vec<String> = pids.iter().take(8).map(|(pid, name)| format!("{name} (pid {pid})")).collect();
    let more = pids.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("the main process of generation {generation} is gone; it left behind {}{more}", names.join(", "))
}

fn drain(notice: &Notice, named: &dyn Fn(&GenerationId) -> String) -> String {
    match notice {
        Notice::Drained { generation, took } => {
            format!("nothing is asked of {} any more, after {}", named(generation), rounded(*took))
        }
        Notice::DrainLimit { generation, limit, waits } => {
            format!("{} still has {waits} after {} (--drain)", named(generation), format_duration(*limit))
        }
        Notice::Waiting { generation, waits, since, hammer } => {
            format!("waiting for {} since {}: {waits}; {}", named(generation), seconds(*since), hammer_in(*hammer))
        }
        _ => String::new(),
    }
}

fn hammer_in(left: Option<Duration>) -> String {
    match left {
        Some(left) => format!("the hammer falls in {}", seconds(left)),
        None => "there is no hammer".to_owned(),
    }
}

fn seconds(length: Duration) -> String {
    format_duration(Duration::from_secs(length.as_secs())).to_string()
}

/// Whole milliseconds are all a reader of a log wants; below ten, microseconds tell more.
fn rounded(length: Duration) -> String {
    let unit = if length < Duration::from_millis(10) { 1_000 } else { 1_000_000 };
    let nanos = length.as_nanos() / unit * unit;
    format_duration(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hammer_says_what_the_go_library_says() {
        let notice = Notice::Hammered { generation: GenerationId(1) };
        let pids = Pids::from([(GenerationId(1), 16955)]);
        assert_eq!(render(&notice, &pids), "[STOP - Hammer Time] Forcefully shutting down generation 1 (pid 16955)");
    }

    #[test]
    fn what_is_waited_for_and_until_when() {
        let waits = crate::words::Waits { busy: 2, idle: 1, ..Default::default() };
        let (generation, since) = (GenerationId(1), Duration::from_millis(5004));
        let waiting = |hammer| render(&Notice::Waiting { generation, waits, since, hammer }, &Pids::new());
        let begin = "waiting for generation 1 since 5s: 3 open connections, 2 in the middle of a request";
        assert_eq!(waiting(Some(Duration::from_millis(54_900))), format!("{begin}; the hammer falls in 54s"));
        assert_eq!(waiting(None), format!("{begin}; there is no hammer"));
        let limit = Notice::DrainLimit { generation, limit: Duration::from_secs(10), waits };
        let text = "generation 1 still has 3 open connections, 2 in the middle of a request after 10s (--drain)";
        assert_eq!(render(&limit, &Pids::new()), text);
        assert_eq!(level(&limit), Level::Problem);
    }

    #[test]
    fn durations_are_rounded() {
        assert_eq!(rounded(Duration::from_nanos(1_234_567)), "1ms 234us");
        assert_eq!(rounded(Duration::from_nanos(1_234_567_890)), "1s 234ms");
    }
}
