//! Real servers: every recipe of docs/servers.md is run as it stands there, and restarted under load.
//!
//! A plain test run takes the recipes marked `ci` whose programs are installed, with two restarts each. `make servers` takes all
//! of them with ten restarts and writes the table into the page:
//!
//! | variable | |
//! |---|---|
//! | `ENDLESS_SERVERS=all` or a name | all recipes, or that one |
//! | `ENDLESS_SERVERS_RESTARTS=N` | restarts of each |
//! | `ENDLESS_SERVERS_AT_LEAST=N` | fails when fewer could be run: CI has installed that many |
//! | `ENDLESS_SERVERS_TABLE=1` | writes the table into the page |

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
use std::env;

fn number(name: &str, default: u32) -> u32 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn wanted(recipe: &Recipe) -> bool {
    match env::var("ENDLESS_SERVERS").as_deref() {
        Ok("all") => true,
        Ok(name) => recipe.name == name,
        Err(_) => recipe.ci,
    }
}

#[test]
fn recipes_lose_nothing() {
    let restarts = number("ENDLESS_SERVERS_RESTARTS", 2);
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for recipe in recipe::all().into_iter().filter(wanted) {
        if let Some(missing) = recipe.missing() {
            println!("{}: left out, {missing} is not installed", recipe.name);
            continue;
        }
        let result = trial::run(&recipe, restarts);
        let row = table::row(&recipe, &result);
        println!("{row}");
        if !result.new.lost.is_empty() || !result.slow.lost.is_empty() {
            failed.push(format!("{}: {:?} {:?}", recipe.name, result.new.lost, result.slow.lost));
        }
        rows.push(row);
    }
    if env::var_os("ENDLESS_SERVERS_TABLE").is_some() {
        table::write(&rows, restarts);
    }
    assert!(failed.is_empty(), "lost requests:\n{}", failed.join("\n"));
    let least = number("ENDLESS_SERVERS_AT_LEAST", 0) as usize;
    assert!(rows.len() >= least, "only {} servers could be run, of {least}", rows.len());
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
