//! What a client and endless say to each other: one JSON object a line, over a Unix stream socket.
//!
//! The page `endless(1)` documents it. A request gets exactly one answer; answers come when they are due, not in order, and
//! carry the `id` of their request.

mod place;
mod status;

pub use place::{directories, in_directory, name_of};
pub use status::{GenerationStatus, LastStart, ListenerStatus, Status};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The version of the protocol: an endless that speaks another one refuses with a reason.
pub const VERSION: u32 = 1;

/// No request is longer, its newline included.
pub const LONGEST_REQUEST: usize = 64 * 1024;

/// One line from a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// Given back with the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// What is asked for.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "lowercase")]
pub enum Ask {
    /// How things are.
    Status,
    /// A restart.
    Restart {
        /// When it is answered.
        #[serde(default)]
        until: Until,
    },
    /// Retire everything and exit. The answer comes when everything is gone; the connection closes when endless ends.
    Stop,
    /// Hammer what is retiring; answered when it is gone.
    Hammer,
    /// Replace endless itself by the program at its path; answered by the new one, or by the old one when it cannot.
    Upgrade,
    /// The same as the signal of this name; answered when that is done.
    Signal {
        /// `USR1`, `SIGUSR1` or `10`, which may be a number in JSON, too.
        #[serde(deserialize_with = "name_or_number")]
        signal: String,
    },
}

fn name_or_number<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match Value::deserialize(from)? {
        Value::String(name) => Ok(name),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(D::Error::custom("signal is a name or a number")),
    }
}

/// What a restart is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// The new generation is active.
    Active,
    /// It has passed its probation.
    #[default]
    Proven,
    /// And the older ones are gone.
    Drained,
}

/// The one answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// [`VERSION`].
    pub version: u32,
    /// The request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// True when it was done.
    pub ok: bool,
    /// The generation that serves now, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What [`Ask::Status`] asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<Status>>,
}

impl Answer {
    /// It was done.
    #[must_use]
    pub fn done(id: Option<Value>, generation: Option<u32>) -> Answer {
        Answer { version: VERSION, id, ok: true, generation, reason: None, status: None }
    }

    /// It was not, and why.
    #[must_use]
    pub fn refused(id: Option<Value>, reason: impl Into<String>) -> Answer {
        Answer { ok: false, reason: Some(reason.into()), ..Answer::done(id, None) }
    }

    /// How things are.
    #[must_use]
    pub fn status(id: Option<Value>, status: Status) -> Answer {
        Answer { status: Some(Box::new(status)), ..Answer::done(id, None) }
    }
}

/// An object as a line.
#[must_use]
pub fn line(object: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(object).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Reads a client's line. The error is the answer it gets.
///
/// # Errors
/// What is no object of this protocol's version.
pub fn request(line: &[u8]) -> Result<Request, Box<Answer>> {
    #[derive(Deserialize)]
    struct Head {
        version: Option<u32>,
        id: Option<Value>,
    }
    let wrong = |id, reason: String| Box::new(Answer::refused(id, reason));
    let head: Head =
        serde_json::from_slice(line).map_err(|error| wrong(None, format!("this is no request: {error}")))?;
    match head.version {
        Some(VERSION) => {
            serde_json::from_slice(line).map_err(|error| wrong(head.id, format!("this is no request: {error}")))
        }
        other => {
            let other = other.map_or("none".to_owned(), |other| other.to_string());
            Err(wrong(head.id, format!("this endless speaks version {VERSION} of the control protocol, not {other}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_documented() {
        let read = |text: &str| request(text.as_bytes()).map(|request| request.ask);
        assert_eq!(read(r#"{"version":1,"request":"status"}"#), Ok(Ask::Status));
        assert_eq!(read(r#"{"version":1,"request":"restart"}"#), Ok(Ask::Restart { until: Until::Proven }));
        let drained = r#"{"version":1,"id":7,"request":"restart","until":"drained","later":true}"#;
        assert_eq!(read(drained), Ok(Ask::Restart { until: Until::Drained }));
        assert_eq!(
            read(r#"{"version":1,"request":"signal","signal":"USR1"}"#),
            Ok(Ask::Signal { signal: "USR1".into() })
        );
        let number = r#"{"version":1,"request":"signal","signal":10}"#;
        assert_eq!(read(number), Ok(Ask::Signal { signal: "10".into() }));
    }

    #[test]
    fn what_is_no_request_is_answered_with_a_reason_and_its_id() {
        for (text, reason) in [
            ("", "no request"),
            ("[]", "no request"),
            (r#"{"request":"status"}"#, "version 1 of the control protocol, not none"),
            (r#"{"version":2,"request":"status"}"#, "version 1 of the control protocol, not 2"),
            (r#"{"version":1,"request":"dance"}"#, "dance"),
            (r#"{"version":1,"request":"signal"}"#, "signal"),
            (r#"{"version":1,"request":"signal","signal":[]}"#, "a name or a number"),
        ] {
            let answer = request(text.as_bytes()).unwrap_err();
            assert!(!answer.ok && answer.reason.as_ref().unwrap().contains(reason), "{answer:?}");
        }
        assert_eq!(request(br#"{"version":9,"id":"x"}"#).unwrap_err().id, Some("x".into()));
    }

    #[test]
    fn an_answer_is_one_line_without_what_it_does_not_have() {
        let text = String::from_utf8(line(&Answer::done(Some(7.into()), Some(2)))).unwrap();
        assert_eq!(text, "{\"version\":1,\"id\":7,\"ok\":true,\"generation\":2}\n");
    }
}
