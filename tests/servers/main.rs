//! Real servers: every recipe of docs/servers.md is run as it stands there, and restarted under load.
//!
//! A plain test run takes the recipes marked `ci` whose programs are installed, with two restarts each. `make servers` takes all
//! of them with ten restarts and writes the table into the page: see support/matrix.rs for `ENDLESS_SERVERS` and its like.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops when it is surprised"
)]

mod recipe;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod trial;

use recipe::Recipe;
use support::client::Loss;
use support::load::Kind;
use support::matrix::{Entry, Matrix};

impl Entry for Recipe {
    fn name(&self) -> &str {
        &self.name
    }

    fn quick(&self) -> bool {
        self.ci
    }

    fn missing(&self) -> Option<String> {
        Recipe::missing(self)
    }

    fn run(&self, restarts: u32) -> (String, Vec<(Kind, Loss)>) {
        let result = trial::run(self, restarts);
        // A connection that was kept may end at any time.
        (table::row(self, &result), [result.new.lost, result.slow.lost].concat())
    }
}

#[test]
fn recipes_lose_nothing() {
    let matrix = Matrix { prefix: "ENDLESS_SERVERS", restarts: 2, page: recipe::PAGE, head: table::HEAD };
    matrix.run(&recipe::all());
}

#[test]
fn every_recipe_is_a_command_line_of_endless() {
    let recipes = recipe::all();
    assert!(recipes.len() >= 25, "{} recipes", recipes.len());
    for recipe in recipes {
        assert!(recipe.line.contains(" -- "), "{}: {}", recipe.name, recipe.line);
        let names: Vec<_> = recipe::all().into_iter().filter(|other| other.name == recipe.name).collect();
        assert_eq!(names.len(), 1, "two recipes are called {}", recipe.name);
    }
}
