//! One row under load: restarts, and what the clients saw.

use crate::row::Row;
use crate::support::load::{Count, Load};
use crate::support::{Endless, Setup, example, free_address};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

/// Clients, each of which makes a new connection for each request.
const CLIENTS: usize = 4;

/// What came of it.
pub struct Result {
    pub count: Count,
    /// From SIGHUP until the new copy was ready, the median.
    pub ready: Duration,
    /// From then until the old copy was gone, the median.
    pub gone: Duration,
}

/// A program at work.
pub struct Started {
    pub endless: Endless,
    /// `{port}`.
    pub at: SocketAddr,
    /// `{other}`.
    pub other: SocketAddr,
}

/// Starts the program at an address of its own; `variables` are for endless.
pub fn start(row: &Row, variables: &[(&str, &str)]) -> Started {
    let ports = [("{port}", free_address()), ("{other}", free_address())];
    let replaced =
        |text: &str| ports.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, &to.port().to_string()));
    // Otherwise each restart would take 2 s longer.
    let setup = Setup::line(&format!("endless -- {}", replaced(row.command))).env("ENDLESS_PROBATION", "0");
    let home = setup.dir().display().to_string();
    let setup = variables.iter().fold(setup.env("HOME", &home), |setup, (name, value)| setup.env(name, value));
    prepare(row, setup.dir(), &replaced);
    let endless = setup.start_line();
    endless.ready(1);
    Started { endless, at: ports[0].1, other: ports[1].1 }
}

/// Runs the program and restarts it under its clients.
pub fn run(row: &Row, restarts: u32) -> Result {
    let Started { mut endless, at, other } = start(row, &[]);
    let places = [at, other];
    let result = load(&endless, row, &places[..if row.both { 2 } else { 1 }], restarts);
    assert_eq!(endless.stop(), 0, "{}: {:#?}", row.name, endless.said());
    result
}

/// Puts the row's file where it is run, and builds what has to be built.
fn prepare(row: &Row, dir: &Path, replaced: &dyn Fn(&str) -> String) {
    if row.file == "plain_axum" {
        fs::copy(example(row.file), dir.join(row.file)).unwrap();
    } else if !row.file.is_empty() {
        let folders = ["tests/unmodified/apps", "tests/servers/apps"];
        let paths = folders.map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(row.file));
        let text = paths.iter().find_map(|path| fs::read_to_string(path).ok()).expect(row.file);
        fs::write(dir.join(row.file), replaced(&text)).unwrap();
    }
    if row.needs == "go" {
        let mut build = Command::new("go");
        build.args(["build", "-o", "server", row.file]).current_dir(dir);
        build.envs([("GO111MODULE", "off"), ("CGO_ENABLED", "0")]);
        build.env("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go-cache"));
        assert!(build.status().unwrap().success(), "{} cannot be built", row.file);
    }
}

fn load(endless: &Endless, row: &Row, places: &[SocketAddr], restarts: u32) -> Result {
    let loads: Vec<_> = places.iter().map(|at| Load::start(*at, &[(row.kind, CLIENTS / places.len())])).collect();
    let more = || loads.iter().for_each(|load| load.wait_for_more(20));
    let (mut ready, mut gone) = (Vec::new(), Vec::new());
    let mut descriptors = 0;
    for generation in 2..=restarts + 1 {
        more();
        let began = Instant::now();
        endless.restart(generation);
        ready.push(began.elapsed());
        endless.gone(generation - 1);
        gone.push(began.elapsed() - *ready.last().unwrap());
        if generation == 2 {
            descriptors = endless.descriptors();
        }
    }
    more();
    endless.wait_for_descriptors(descriptors);
    let mut all = Count::default();
    for count in loads.into_iter().map(Load::finish) {
        all.answered += count.answered;
        all.lost.extend(count.lost);
    }
    Result { count: all, ready: median(ready), gone: median(gone) }
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}
