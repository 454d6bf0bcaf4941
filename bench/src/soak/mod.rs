//! Several endless at once to which everything happens that can, for as long as one likes: bench/soak.

mod dice;
mod instance;
mod lives;
mod pulse;
mod unrest;

use crate::client::{self, At};
use crate::figures::table;
use crate::launcher::{Tools, free_address};
use crate::load::{Kind, Load, Tally};
use crate::{Result, Verdict, machine, system, write_into_page};
use dice::Dice;
use instance::{Instance, Setup, runtime, sockets};
use std::fs;
use std::thread;
use std::time::Duration;
use unrest::Diary;

const HEAD: [&str; 5] = ["endless with", "what happened", "requests", "lost", "left behind"];

/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(10);

fn setups(tools: &Tools) -> Vec<Setup> {
    use Kind::*;
    let addresses: Vec<_> = (0..3).map(|_| free_address()).collect();
    let path = sockets(tools).join("server");
    let example = |name: &str| tools.simple_server.with_file_name(name).display().to_string();
    let at = |which: usize| addresses[which].to_string();
    let setup = |name, what, server, at| Setup {
        name,
        what,
        options: "--drain quiet=2s",
        listen: vec![],
        server,
        at,
        clients: &[(New, 2), (KeepAlive, 1), (Leisurely, 2), (Drip, 2), (Hesitant, 2), (Silent, 1)],
        upgraded: false,
    };
    vec![
        Setup {
            listen: vec![at(0)],
            clients: &[(New, 2), (KeepAlive, 2), (Slow, 3), (Drip, 2), (Hesitant, 2), (Silent, 1)],
            upgraded: true,
            ..setup("inherited", "`-l`, simple_server", tools.simple_server(), addresses[0].into())
        },
        setup(
            "captured",
            "a Rust server that binds by itself",
            vec![example("bind_itself"), at(1)],
            addresses[1].into(),
        ),
        Setup {
            // Nobody who never pauses on a kept connection: it is cut at the limit, in the middle of an answer, too.
            clients: &[(New, 3), (Slow, 3)],
            upgraded: true,
            ..setup(
                "path",
                "a Python server that binds a Unix path",
                tools.server_py(&path.display().to_string()),
                At::Unix(path),
            )
        },
        Setup {
            options: "--drain soft=2s",
            clients: &[(New, 2), (Leisurely, 4), (Slow, 3), (Drip, 2), (Silent, 1)],
            ..setup(
                "soft",
                "a Python server that binds by itself, `--drain soft`",
                tools.server_py(&addresses[2].port().to_string()),
                addresses[2].into(),
            )
        },
    ]
}

/// Runs the soak and says what came of it.
pub fn run(tools: &Tools, minutes: u64, seed: u64, markdown: bool) -> Result<Verdict> {
    client::be_patient();
    fs::create_dir_all(runtime(tools))?;
    fs::create_dir_all(sockets(tools))?;
    eprintln!("{minutes} minutes, --seed {seed}; logs are in {}", tools.directory.display());
    let instances: Vec<Instance> =
        setups(tools).into_iter().map(|setup| Instance::start(setup, tools)).collect::<Result<_>>()?;
    let deadline = system::now() + minutes * 60_000_000_000;
    let mut outcomes = Vec::new();
    let lives = thread::scope(|scope| {
        scope.spawn(|| pulse::beat(deadline));
        let lives = scope.spawn(|| lives::live(tools, Dice::new(seed, 0), deadline));
        let run = |(number, instance)| scope.spawn(move || suffer(instance, Dice::new(seed, number), deadline));
        let running: Vec<_> = (1..).zip(&instances).map(run).collect();
        outcomes.extend(running.into_iter().map(|one| one.join().expect("nobody panics")));
        lives.join().expect("nobody panics")
    });
    let mut rows: Vec<Vec<String>> = instances.iter().zip(&outcomes).map(|(one, outcome)| outcome.cells(one)).collect();
    for (instance, outcome) in instances.iter().zip(&outcomes) {
        for (what, count) in &outcome.diary.failed {
            eprintln!("{}: as expected, {count} × {what}", instance.setup.name);
        }
    }
    let mut wrong: Vec<String> = outcomes.into_iter().flat_map(|outcome| outcome.wrong).collect();
    rows.push(vec![
        "short lives: all of these".to_owned(),
        format!("{} lives, {} signals", lives.number, lives.signals),
        String::new(),
        String::new(),
        if lives.wrong.is_empty() { "nothing".to_owned() } else { format!("**{}**", lives.wrong.len()) },
    ]);
    wrong.extend(lives.wrong);
    wrong.extend(instances.iter().filter(|one| !one.stop()).map(|one| format!("{} does not stop", one.setup.name)));
    wrong.extend(lives::files(tools).into_iter().map(|file| format!("{file} is left")));
    wrong.extend(system::children(std::process::id()).into_iter().map(|pid| format!("process {pid} is left")));
    drop(instances);

    let text = format!("{}, {minutes} minutes, seed {seed}.\n\n{}", machine(), table(&HEAD, &rows));
    println!("{text}");
    if markdown {
        write_into_page("soak", &text)?;
    }
    if wrong.is_empty() {
        fs::remove_dir_all(&tools.directory)?;
        return Ok(Verdict::Reached);
    }
    wrong.iter().for_each(|wrong| eprintln!("{wrong}"));
    eprintln!("logs are in {}", tools.directory.display());
    Ok(Verdict::Broken)
}

/// What came of one instance.
struct Outcome {
    diary: Diary,
    tally: Tally,
    /// Lost with a copy that was killed.
    in_flight: usize,
    left: Vec<String>,
    memory: (u64, u64),
    wrong: Vec<String>,
}

fn suffer(instance: &Instance<'_>, dice: Dice, deadline: u64) -> Outcome {
    let load = Load::start_with(instance.setup.at.clone(), instance.setup.clients, PAUSE);
    let mut diary = unrest::disturb(instance, dice, deadline);
    let mut tally = load.finish();
    let all = tally.lost();
    tally.lost.retain(|lost| !instance.excuses(lost));
    let in_flight = all - tally.lost();
    let (left, before, after) = instance.leaks();
    let name = instance.setup.name;
    let mut wrong: Vec<String> = diary.wrong.drain(..).map(|wrong| format!("{name}: {wrong}")).collect();
    wrong.extend(tally.lost.iter().map(|lost| format!("{name}: lost: {lost}")));
    wrong.extend(left.iter().map(|left| format!("{name}: left behind: {left}")));
    Outcome { diary, tally, in_flight, left, memory: (before, after), wrong }
}

impl Outcome {
    fn cells(&self, instance: &Instance<'_>) -> Vec<String> {
        let done: Vec<String> = self.diary.done.iter().map(|(what, count)| format!("{count} × {what}")).collect();
        let left = if self.left.is_empty() { "nothing".to_owned() } else { format!("**{}**", self.left.join(", ")) };
        vec![
            instance.setup.what.to_owned(),
            done.join(", "),
            format!(
                "{} answered, {} raced, {} died with a copy that was killed",
                self.tally.answered, self.tally.races, self.in_flight
            ),
            format!("**{}**", self.tally.lost()),
            format!("{left}; memory {} → {} KiB", self.memory.0, self.memory.1),
        ]
    }
}
