//! Real servers that know nothing of endless: `endless -- COMMAND`, restarted under clients that make a new connection for each
//! request. Nothing may be lost, though most of them die at SIGTERM wherever they are.
//!
//! A plain test run takes the rows marked `ci` whose programs are installed, with three restarts each. `make unmodified` takes all
//! of them with twenty and writes the table into docs/unmodified.md: see support/matrix.rs for `ENDLESS_UNMODIFIED` and its like.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops when it is surprised"
)]

mod measures;
mod row;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod trial;
mod wrk;

use row::{ROWS, Row};
use support::client::Loss;
use support::load::Kind;
use support::matrix::{Entry, Matrix};

impl Entry for Row {
    fn name(&self) -> &str {
        self.name
    }

    fn quick(&self) -> bool {
        self.ci
    }

    fn missing(&self) -> Option<String> {
        (!self.installed()).then(|| self.needs.to_owned())
    }

    fn run(&self, restarts: u32) -> (String, Vec<(Kind, Loss)>) {
        let result = trial::run(self, restarts);
        (table::line(self, &result), result.count.lost)
    }
}

#[test]
fn programs_that_know_nothing_of_endless_lose_nothing() {
    let matrix = Matrix { prefix: "ENDLESS_UNMODIFIED", restarts: 3, page: "docs/unmodified.md", head: table::HEAD };
    matrix.run(ROWS);
}
