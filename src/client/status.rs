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
    match answers.as_slice() {
        _ if json => answers.iter().for_each(|status| print(&String::from_utf8_lossy(&crate::control::line(status)))),
        [] => {}
        [one] if detailed => print(&table::detail(one)),
        all => print(&table::all(all)),
    }
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
