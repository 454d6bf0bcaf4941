//! The events of the JSON log: one sample of each, and their description in the manual page.

use super::roff::{bold, fill, italic, paragraph};
use super::{read, roff};
use endless::notice::{Level, Notice, Trouble};
use endless::report::{Pids, json};
use endless::words::{Exit, Failure, GenerationId, HookPoint, ReadySign, Sig, Waits};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// Fields that every event has.
const COMMON: [&str; 5] = ["time", "pid", "level", "event", "message"];

const OLD: GenerationId = GenerationId(1);
const NEW: GenerationId = GenerationId(2);

/// One sample of every event, for its fields and its words.
fn samples() -> Vec<Notice> {
    let exit = Exit::Code(1);
    let why = || "hook pre:HUP \"nginx -t\": exit status 1".to_owned();
    let address = || "127.0.0.1:4242".to_owned();
    let waits = Waits { busy: 1, idle: 2, ..Waits::default() };
    let since = Duration::from_secs(5);
    let not_steered = "the kernel refuses steering".to_owned();
    vec![
        Notice::Listening { name: "web".to_owned(), address: address(), shared: None },
        Notice::Starting { generation: NEW },
        Notice::Ready { generation: NEW, sign: ReadySign::Accepted, took: Duration::from_millis(12) },
        Notice::Failed { generation: NEW, failure: Failure::Exited(exit), kept: Some(OLD) },
        Notice::Remembered,
        Notice::Crowded,
        Notice::Refused { what: "restart", why: why() },
        Notice::Asked { signal: Some(Sig::HUP), sender: Some(16970), what: "restart" },
        Notice::Changed { path: "/srv/app/src/main.rs".to_owned(), what: "restart" },
        Notice::Guarding { generation: OLD, length: Duration::from_secs(2) },
        Notice::HandedBack { from: NEW, to: OLD, exit },
        Notice::Retiring { generation: OLD },
        Notice::Drained { generation: OLD, took: Duration::from_millis(230) },
        Notice::DrainLimit { generation: OLD, limit: Duration::from_secs(10), waits },
        Notice::Waiting { generation: OLD, waits, since, hammer: Some(Duration::from_secs(55)) },
        Notice::Stopping { generation: OLD, signal: Sig::TERM },
        Notice::Stuck { generation: NEW, silence: Some(Duration::from_secs(10)) },
        Notice::Hammered { generation: OLD },
        Notice::Exited { generation: OLD, exit: Exit::Code(0), expected: true },
        Notice::Survivors { generation: OLD, pids: vec![(16957, "worker".to_owned())] },
        Notice::Gone { generation: OLD },
        Notice::Respawning { generation: OLD, exit, delay: Duration::from_millis(100) },
        Notice::GaveUp { ends: 6, within: Duration::from_secs(60) },
        Notice::HookFailed {
            point: HookPoint::Pre(Sig::HUP),
            command: "nginx -t".to_owned(),
            why: "exit status 1".to_owned(),
        },
        Notice::Diagnosis {
            generation: NEW,
            what: Trouble::BindsItself { address: "127.0.0.1:4242".to_owned(), said: false, captured: false },
        },
        Notice::Status { generation: NEW, text: "warming up".to_owned() },
        Notice::Shared { name: "web".to_owned(), why: not_steered },
        Notice::PathRestored { path: "/run/app.sock".to_owned(), what: "unlinked" },
        Notice::Upgraded { from: "1.0.0".into(), to: "1.1.0".into() },
        Notice::Finished { code: 0 },
        Notice::Note { level: Level::Normal, text: "SERVER_STARTER_PORT is left out: it would be too long".to_owned() },
    ]
}

fn pids() -> Pids {
    Pids::from([(OLD, 16955), (NEW, 16971)])
}

fn object(notice: &Notice) -> Map<String, Value> {
    let line = json::render(notice, &pids(), 16937, SystemTime::UNIX_EPOCH);
    match serde_json::from_str(&line) {
        Ok(Value::Object(object)) => object,
        other => panic!("{line}: {other:?}"),
    }
}

/// The fields an event has beside the common ones.
fn fields(object: &Map<String, Value>) -> Vec<String> {
    let mut fields: Vec<String> = object.keys().filter(|key| !COMMON.contains(&key.as_str())).cloned().collect();
    fields.sort_by_key(|field| field == "main_pid");
    fields
}

/// The variants of [`Notice`], as events are called, with what their doc comments say, in the order of the source.
fn described() -> Vec<(String, String)> {
    let source = read("src/notice.rs");
    let (_, notice) = source.split_once("pub enum Notice {\n").unwrap_or_default();
    let mut all = Vec::new();
    let mut comment = String::new();
    for line in notice.lines().map_while(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with(' ')) {
        if let Some(text) = line.strip_prefix("///") {
            comment.push_str(text);
        } else if line.starts_with(|c: char| c.is_ascii_uppercase()) {
            let variant = line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            all.push((kebab(variant), std::mem::take(&mut comment).trim().to_owned()));
        }
    }
    all
}

fn kebab(variant: &str) -> String {
    let mut name = String::new();
    for (place, c) in variant.chars().enumerate() {
        if c.is_ascii_uppercase() && place > 0 {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// The generated description of all events.
pub fn render() -> String {
    let mut text = String::new();
    let samples: Vec<_> = samples().iter().map(object).collect();
    for (event, comment) in described() {
        let Some(sample) = samples.iter().find(|sample| sample["event"] == event.as_str()) else {
            panic!("the event {event} has no sample in tests/pages/events.rs");
        };
        let field = |name: &str| sample[name].as_str().unwrap_or_default().to_owned();
        let fields: Vec<String> = fields(sample).iter().map(|field| italic(field)).collect();
        let fields = if fields.is_empty() { String::new() } else { format!(" Fields: {}.", fields.join(", ")) };
        let comment = paragraph(&comment).replace('\n', " ");
        let _ = write!(text, ".TP\n{} ({})\n{}", bold(&event), field("level"), fill(&format!("{comment}{fields}")));
        let _ = write!(text, ".br\n{}", fill(&italic(&field("message"))));
    }
    text
}

#[test]
fn every_event_is_described_and_has_a_sample() {
    let events: Vec<String> = described().into_iter().map(|(event, _)| event).collect();
    assert!(events.len() > 20, "src/notice.rs is not read as it should be: {events:?}");
    let samples: Vec<String> =
        samples().iter().map(|sample| object(sample)["event"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(samples, events, "tests/pages/events.rs has one sample of each event, in the order of src/notice.rs");
}

#[test]
fn every_field_is_explained() {
    let page = read("man/endless.1");
    let explained: BTreeSet<String> = roff::tags(roff::section(&page, "OUTPUT"))
        .iter()
        .flat_map(|tag| tag.split([',', ' ']).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let used =
        samples().iter().flat_map(|sample| object(sample).keys().cloned().collect::<Vec<_>>()).collect::<BTreeSet<_>>();
    let unexplained: Vec<&String> = used.iter().filter(|field| !explained.contains(*field)).collect();
    assert!(unexplained.is_empty(), "OUTPUT of man/endless.1 does not say what these fields are: {unexplained:?}");
}
