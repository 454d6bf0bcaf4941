//! A notice as one JSON object: `time`, `pid`, `level`, `event`, `message`, and the fields of the event.

use super::{Pids, text, trouble};
use crate::notice::{Level, Notice};
use crate::words::{GenerationId, Waits};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};

/// The object as text, without a newline. Durations are in milliseconds, signals are names.
#[must_use]
pub fn render(notice: &Notice, pids: &Pids, own_pid: u32, now: SystemTime) -> String {
    let (event, fields) = parts(notice);
    let mut object = Map::new();
    object.insert("time".into(), humantime::format_rfc3339_millis(now).to_string().into());
    object.insert("pid".into(), own_pid.into());
    object.insert("level".into(), level_name(text::level(notice)).into());
    object.insert("event".into(), event.into());
    if let Some(GenerationId(number)) = generation(notice) {
        object.insert("generation".into(), number.into());
    }
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    let lives = !matches!(notice, Notice::Gone { .. } | Notice::Respawning { .. });
    if let Some(pid) = generation(notice).filter(|_| lives).and_then(|generation| pids.get(&generation)) {
        object.insert("main_pid".into(), (*pid).into());
    }
    object.insert("message".into(), text::render(notice, pids).into());
    Value::Object(object).to_string()
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Problem => "problem",
        Level::Normal => "normal",
        Level::Detail => "detail",
    }
}

/// The one generation it is about.
fn generation(notice: &Notice) -> Option<GenerationId> {
    match notice {
        Notice::Starting { generation }
        | Notice::Ready { generation, .. }
        | Notice::Failed { generation, .. }
        | Notice::Guarding { generation, .. }
        | Notice::Retiring { generation }
        | Notice::Drained { generation, .. }
        | Notice::DrainLimit { generation, .. }
        | Notice::Waiting { generation, .. }
        | Notice::Stopping { generation, .. }
        | Notice::Hammered { generation }
        | Notice::Stuck { generation, .. }
        | Notice::Diagnosis { generation, .. }
        | Notice::Exited { generation, .. }
        | Notice::Survivors { generation, .. }
        | Notice::Gone { generation }
        | Notice::Respawning { generation, .. }
        | Notice::Status { generation, .. } => Some(*generation),
        _ => None,
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// The name of the event and its own fields, but for the generation.
fn parts(notice: &Notice) -> (&'static str, Value) {
    match notice {
        Notice::Listening { name, address, shared } => {
            ("listening", json!({"listener": name, "address": address, "shared": shared.is_some()}))
        }
        Notice::Starting { .. } => ("starting", json!({})),
        Notice::Ready { sign, took, .. } => ("ready", json!({"sign": sign.to_string(), "took_ms": millis(*took)})),
        Notice::Failed { failure, kept, .. } => {
            let kept = kept.map(|kept| kept.0);
            ("failed", json!({"reason": failure.to_string(), "kept": kept}))
        }
        Notice::Guarding { length, .. } => ("guarding", json!({"length_ms": millis(*length)})),
        Notice::HandedBack { from, to, exit } => {
            ("handed-back", json!({"from": from.0, "to": to.0, "exit": exit.to_string()}))
        }
        Notice::Retiring { .. } => ("retiring", json!({})),
        Notice::Stopping { signal, .. } => ("stopping", json!({"signal": signal.to_string()})),
        Notice::Stuck { silence, .. } => ("stuck", json!({"silence_ms": silence.map(millis)})),
        Notice::Hammered { .. } => ("hammered", json!({})),
        Notice::Exited { exit, expected, .. } => ("exited", json!({"exit": exit.to_string(), "expected": expected})),
        Notice::Survivors { pids, .. } => {
            ("survivors", json!({"pids": pids.iter().map(|(pid, _)| pid).collect::<Vec<_>>()}))
        }
        Notice::Gone { .. } => ("gone", json!({})),
        Notice::Respawning { exit, delay, .. } => {
            ("respawning", json!({"exit": exit.to_string(), "delay_ms": millis(*delay)}))
        }
        Notice::Diagnosis { what, .. } => ("diagnosis", json!({"trouble": trouble::name(what)})),
        Notice::Status { text, .. } => ("status", json!({"status": text})),
        Notice::Drained { .. } | Notice::DrainLimit { .. } | Notice::Waiting { .. } => parts_of_drain(notice),
        other => parts_without_generation(other),
    }
}

fn parts_of_drain(notice: &Notice) -> (&'static str, Value) {
    let counted = |waits: &Waits| {
        let Waits { half_open, queued, busy, idle } = waits;
        json!({"half_open": half_open, "queued": queued, "busy": busy, "idle": idle})
    };
    match notice {
        Notice::Drained { took, .. } => ("drained", json!({"took_ms": millis(*took)})),
        Notice::DrainLimit { limit, waits, .. } => {
            let fields = json!({"limit_ms": millis(*limit), "connections": counted(waits)});
            ("drain-limit", fields)
        }
        Notice::Waiting { waits, since, hammer, .. } => {
            let (since, hammer) = (millis(*since), hammer.map(millis));
            let connections = counted(waits);
            let fields = json!({"since_ms": since, "hammer_ms": hammer, "connections": connections});
            ("waiting", fields)
        }
        _ => ("note", json!({})),
    }
}

fn parts_without_generation(notice: &Notice) -> (&'static str, Value) {
    match notice {
        Notice::Crowded => ("crowded", json!({})),
        Notice::Remembered => ("remembered", json!({})),
        Notice::Refused { what, why } => ("refused", json!({"what": what, "reason": why})),
        Notice::Asked { signal, sender, what } => {
            ("asked", json!({"signal": signal.map(|signal| signal.to_string()), "sender": sender, "what": what}))
        }
        Notice::Changed { path, what } => ("changed", json!({"path": path, "what": what})),
        Notice::GaveUp { ends, within } => ("gave-up", json!({"ends": ends, "within_ms": millis(*within)})),
        Notice::HookFailed { point, command, why } => {
            ("hook-failed", json!({"hook": point.to_string(), "command": command, "reason": why}))
        }
        Notice::Shared { name, why } => ("shared", json!({"listener": name, "reason": why})),
        Notice::PathRestored { path, what } => ("path-restored", json!({"path": path, "what": what})),
        Notice::Upgraded { from, to } => ("upgraded", json!({"from": from, "to": to})),
        Notice::Finished { code } => ("finished", json!({"code": code})),
        _ => ("note", json!({})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_with_the_fields_of_the_event() {
        let notice = Notice::Respawning {
            generation: GenerationId(3),
            exit: crate::words::Exit::Code(7),
            delay: Duration::from_millis(200),
        };
        let line = render(&notice, &Pids::new(), 42, SystemTime::UNIX_EPOCH);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["time"], "1970-01-01T00:00:00.000Z");
        assert_eq!(value["event"], "respawning");
        assert_eq!(value["delay_ms"], 200);
        assert_eq!(value["pid"], 42);
    }
}
