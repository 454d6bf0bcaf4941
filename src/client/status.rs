//! `endless status`: all that run as a table, or one in detail; for people or as JSON.

use super::connection::Connection;
use super::{Error, find, print, table};
use crate::control::{Ask, Status};
use crate::plan::Asking;
use crate::sys::clock;
use std::time::Duration;

/// An endless that does not answer this question within this hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints it once.
pub(super) fn show(asking: &Asking, json: bool) -> Result<u8, Error> {
    let detailed = asking.name.is_some() || asking.control.is_some();
    let all = if detailed { vec![find::one(asking)?] } else { find::all() };
    let mut answers = Vec::new();
    let mut silent = Vec::new();
    for mut found in all {
        match of(&mut found.connection) {
            Ok(status) => answers.push(status),
            Err(error) => silent.push(format!("{}: {error}", found.name)),
        }
    }
    let text = match answers.as_slice() {
        all if json => String::from_utf8_lossy(&all.iter().flat_map(crate::control::line).collect::<Vec<u8>>()).into(),
        [] => String::new(),
        [one] if detailed => table::detail(one),
        all => table::all(all),
    };
    print(&text).map_err(|error| Error::not_done(error.to_string()))?;
    match (answers.is_empty(), silent.is_empty()) {
        (_, false) => Err(Error::not_running(silent.join("\n"))),
        (true, true) => Err(Error::not_running("no endless of this user is running")),
        (false, true) => Ok(0),
    }
}

/// Asks one.
pub(super) fn of(connection: &mut Connection) -> Result<Status, Error> {
    connection.ask(Ask::Status)?;
    let answer = connection.answer(Some(clock::now() + PATIENCE))?;
    let answer = answer.ok_or_else(|| Error::not_running("it does not answer"))?;
    match answer.status {
        Some(status) => Ok(*status),
        None => Err(Error::not_done(answer.reason.unwrap_or_else(|| "it does not say".to_owned()))),
    }
}
