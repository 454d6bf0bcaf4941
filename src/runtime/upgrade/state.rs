//! What endless leaves to its successor: the loop's own values, as JSON. What can be made again is not in it: the plan, the
//! signal pipe, watches of candidates, of which there are none.
//!
//! A field that is added later has a default in states of before (`#[serde(default)]`). What means something else than before
//! takes another [`FORMAT`].

use super::super::capture::Capture;
use super::super::control::Control;
use super::super::copy::Copy;
use super::super::drain::ToldOnce;
use super::super::fd_store::FdStore;
use super::super::home::Home;
use super::super::manager::{Manager, Told};
use super::super::notify_place::NotifyPlace;
use super::super::output::Output;
use super::super::pid_file::PidFile;
use super::super::plans::Remade;
use super::super::status::Decided;
use super::super::status_file::StatusFile;
use crate::listener::{Inherited as Passed, Listeners};
use crate::plan::{Rlimit, Sign};
use crate::report::{Pids, Reporter};
use crate::runtime::Runtime;
use crate::spawn::Inherited;
use crate::supervisor::Supervisor;
use crate::sys::clock;
use crate::words::{GenerationId, Moment, version};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::Duration;

/// The version of the state. Another one is refused before anything else of it is read.
const FORMAT: u32 = 2;

/// What every version can read.
#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    version: String,
}

/// The state twice: what is written points into the runtime, what was read is its own.
macro_rules! state {
    ($runtime:ident; $($(#[$reading:meta])* $field:ident: $type:ty = $value:expr,)*) => {
        #[derive(Serialize)]
        struct Leaving<'a> {
            #[serde(flatten)]
            head: Head,
            values: LeavingValues<'a>,
        }

        #[derive(Serialize)]
        struct LeavingValues<'a> {
            $($field: &'a $type,)*
        }

        /// What was left.
        #[derive(Deserialize)]
        pub(super) struct Values {
            $($(#[$reading])* pub(super) $field: $type,)*
        }

        /// Writes it all.
        pub(super) fn write($runtime: &Runtime) -> std::io::Result<Vec<u8>> {
            let head = Head { format: FORMAT, version: version().to_owned() };
            let values = LeavingValues { $($field: &$value,)* };
            Ok(serde_json::to_vec(&Leaving { head, values })?)
        }
    };
}

state! {
    runtime;
    args: Vec<OsString> = runtime.plans.source.args,
    passed: Vec<Passed> = runtime.plans.source.passed,
    plan: Remade = Remade::of(&runtime.plan),
    plans: BTreeMap<GenerationId, Remade> = runtime.plans.remade(),
    listeners: Listeners = runtime.listeners,
    inherited: Inherited = runtime.inherited,
    file_limit: Option<Rlimit> = runtime.file_limit,
    reporter: Reporter = runtime.reporter,
    supervisor: Supervisor = runtime.supervisor,
    copies: BTreeMap<GenerationId, Copy> = runtime.copies,
    captures: BTreeMap<GenerationId, Capture> = runtime.captures,
    capture_told: BTreeSet<String> = runtime.capture_told,
    pids: Pids = runtime.pids,
    notify_place: Option<NotifyPlace> = runtime.notify_place,
    control: Option<Control> = runtime.control,
    output: Option<Output> = runtime.output,
    manager: Option<Told> = runtime.manager.as_ref().map(Manager::told),
    pid_file: Option<PidFile> = runtime.pid_file,
    status_file: Option<StatusFile> = runtime.status_file,
    #[serde(default)]
    home: Home = runtime.home,
    #[serde(default)]
    left_out: Duration = clock::left_out(),
    began: Moment = runtime.began,
    decided: Option<Decided> = runtime.decided,
    last_ticket: u64 = runtime.last_ticket,
    fd_store: FdStore = runtime.fd_store,
    #[serde(default)]
    expected: BTreeMap<String, Sign> = runtime.expects,
    #[serde(default)]
    first_to_say: BTreeMap<GenerationId, String> = runtime.first_to_say,
    look_again: Option<Moment> = runtime.look_again,
    told: ToldOnce = runtime.told,
    failed: bool = runtime.failed,
}

/// Reads it: the version that has written it, and what it was.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn read(text: &[u8]) -> Result<(String, Values), String> {
    #[derive(Deserialize)]
    struct Whole {
        values: Values,
    }
    let unreadable = |error: serde_json::Error| format!("it cannot read the state: {error}");
    let head: Head = serde_json::from_slice(text).map_err(unreadable)?;
    if head.format != FORMAT {
        return Err(format!("it reads states of format {FORMAT}, and this one has format {}", head.format));
    }
    let whole: Whole = serde_json::from_slice(text).map_err(unreadable)?;
    Ok((head.version, whole.values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_another_format_is_refused_before_anything_else_of_it_is_read() {
        let why = |text: &str| read(text.as_bytes()).err().unwrap();
        assert_eq!(
            why(r#"{"format":3,"version":"9.0.0","values":7}"#),
            "it reads states of format 2, and this one has format 3"
        );
        assert!(why(r#"{"format":2,"version":"0.1.0","values":{}}"#).contains("missing field `args`"));
        assert!(why("").starts_with("it cannot read the state: "));
    }
}
