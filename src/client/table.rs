//! A status as text for people.

use crate::control::{GenerationStatus, LastStart, Status};
use std::time::Duration;

/// One line for each endless.
pub(super) fn all(all: &[Status]) -> String {
    let mut rows = vec![["NAME", "PID", "STATE", "GENERATION", "UP", "LISTENS ON", "LAST START"].map(str::to_owned)];
    for one in all {
        let addresses: Vec<&str> = one.listeners.iter().take(3).map(|listener| listener.address.as_str()).collect();
        let more = one.listeners.len().saturating_sub(3);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        rows.push([
            one.name.clone(),
            one.pid.to_string(),
            one.state.clone(),
            or_dash(one.active),
            length(one.uptime_ms),
            format!("{}{more}", addresses.join(" ")),
            one.last_start.as_ref().map_or_else(|| "-".to_owned(), brief),
        ]);
    }
    align(&rows)
}

/// One endless on a page.
pub(super) fn detail(one: &Status) -> String {
    let serving = one.active.map_or(String::new(), |active| format!(", generation {active} serves"));
    let again = one.respawn_ms.map_or(String::new(), |in_ms| format!(", next start in {}", length(in_ms)));
    let mut text =
        format!("{} (pid {}): {}{serving}{again}, up {}\n", one.name, one.pid, one.state, length(one.uptime_ms));
    text += &format!("command: {}\n", one.command.join(" "));
    for listener in &one.listeners {
        let label = if listener.name == listener.address.replace(':', "-") { "" } else { &*listener.name };
        let label = if label.is_empty() { String::new() } else { format!(" ({label})") };
        text += &format!("listens on {}{label}\n", listener.address);
    }
    if let Some(last) = &one.last_start {
        let ended = if last.ok { "is ready" } else { "failed" };
        let ago = length(last.ago_ms);
        text += &format!("last start: generation {} {ended} {ago} ago: {}\n", last.generation, last.reason);
    }
    let mut rows = vec![["GENERATION", "PID", "STATE", "AGE", "OPEN", "QUEUED", "HAMMER", "STATUS"].map(str::to_owned)];
    rows.extend(one.generations.iter().map(row));
    format!("{text}\n{}", align(&rows))
}

fn row(one: &GenerationStatus) -> [String; 8] {
    [
        one.generation.to_string(),
        or_dash(one.pid),
        one.state.clone(),
        length(one.age_ms),
        or_dash(one.open),
        or_dash(one.queued),
        one.hammer_ms.map_or_else(|| "-".to_owned(), |left| format!("in {}", length(left))),
        one.status.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

fn brief(last: &LastStart) -> String {
    let ended = if last.ok { "ready" } else { "FAILED" };
    format!("{} {ended} {} ago", last.generation, length(last.ago_ms))
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Two units at most, seconds at least: 3d 4h, 2m 10s, 7s.
fn length(millis: u64) -> String {
    let text = humantime::format_duration(Duration::from_secs(millis / 1000)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Columns as wide as their widest cell, two blanks between them.
fn align<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:w$}", w = width(column)));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ListenerStatus;

    fn example() -> Status {
        let generation = |generation, state: &str| GenerationStatus {
            generation,
            pid: Some(16970),
            state: state.to_owned(),
            age_ms: 61_500,
            open: None,
            queued: Some(0),
            hammer_ms: None,
            status: None,
        };
        Status {
            name: "app".into(),
            pid: 16937,
            command: vec!["./app".into(), "-x".into()],
            state: "serving".into(),
            uptime_ms: 3_600_000,
            active: Some(2),
            last_start: Some(LastStart { generation: 2, ok: true, reason: "READY=1".into(), ago_ms: 61_000 }),
            listeners: vec![ListenerStatus { name: "web".into(), address: "127.0.0.1:80".into() }],
            generations: vec![
                GenerationStatus { status: Some("warm".into()), ..generation(2, "active") },
                GenerationStatus { hammer_ms: Some(55_000), ..generation(1, "draining") },
            ],
            ..Status::default()
        }
    }

    #[test]
    fn one_in_detail() {
        assert_eq!(
            detail(&example()),
            "app (pid 16937): serving, generation 2 serves, up 1h\n\
             command: ./app -x\n\
             listens on 127.0.0.1:80 (web)\n\
             last start: generation 2 is ready 1m 1s ago: READY=1\n\
             \n\
             GENERATION  PID    STATE     AGE    OPEN  QUEUED  HAMMER  STATUS\n\
             2           16970  active    1m 1s  -     0       -       warm\n\
             1           16970  draining  1m 1s  -     0       in 55s  -\n"
        );
    }

    #[test]
    fn all_in_a_table() {
        assert_eq!(
            all(&[example()]),
            "NAME  PID    STATE    GENERATION  UP  LISTENS ON    LAST START\n\
             app   16937  serving  2           1h  127.0.0.1:80  2 ready 1m 1s ago\n"
        );
    }
}
