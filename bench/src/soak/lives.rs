//! Short lives of endless that are ended at any moment, and must leave nothing behind.

use super::dice::Dice;
use super::instance::{command, runtime, sockets};
use crate::launcher::{Running, Tools, free_address};
use crate::{Result, system};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// From the last signal on. A candidate that hangs and everything else is gone before.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happened, and what went wrong.
#[derive(Default)]
pub struct Lives {
    pub number: u64,
    pub signals: u64,
    pub wrong: Vec<String>,
}

/// One life after the other until the deadline.
pub fn live(tools: &Tools, mut dice: Dice, deadline: u64) -> Lives {
    let mut lives = Lives::default();
    while system::now() < deadline {
        lives.number += 1;
        if let Err(error) = one(tools, &mut dice, &mut lives) {
            lives.wrong.push(format!("life {}: {error}", lives.number));
        }
        sleep(dice.within(1000));
    }
    lives
}

fn one(tools: &Tools, dice: &mut Dice, lives: &mut Lives) -> Result<()> {
    let address = free_address().to_string();
    let path = sockets(tools).join("short-lived").display().to_string();
    let example = |name: &str| tools.simple_server.with_file_name(name).display().to_string();
    let (listen, server) = match dice.below(4) {
        0 => (vec![address], tools.simple_server()),
        1 => (vec![address, path.clone()], tools.simple_server()),
        2 => (vec![], vec![example("bind_itself"), address]),
        _ => (vec![], tools.server_py(&path)),
    };
    let name = format!("life-{}", lives.number);
    let mode = tools.directory.join("life.mode");
    let mut command = command(tools, &name, &mode, "", &listen, &server)?;
    command.env("SOAK_LIFE", &name);
    if dice.below(5) == 0 {
        let mode_now = dice.one_of(&["fail\n", "hang\n"]);
        fs::write(&mode, mode_now)?;
    }
    let mut running = Running::start(command, tools, "life")?;
    sleep(dice.within(600));
    for _ in 0..dice.below(5) {
        system::kill(running.pid(), dice.one_of(&[libc::SIGHUP, libc::SIGHUP, libc::SIGUSR2]));
        lives.signals += 1;
        let pause = dice.one_of(&[1, 20, 600]);
        sleep(dice.within(pause));
    }
    for _ in 0..1 + dice.below(2) {
        system::kill(running.pid(), dice.one_of(&[libc::SIGTERM, libc::SIGINT, libc::SIGQUIT]));
        lives.signals += 1;
        sleep(dice.within(20));
    }
    let status = running.ended_with(PATIENCE).ok_or_else(|| running.failure("it does not end"))?;
    // 0, the hammer's 137, or what the first copy ended with before it was ready. A signal that comes before the first file is
    // made ends it as any program.
    if !status.code().is_none_or(|code| [0, 137, 7, 125].contains(&code)) {
        return Err(running.failure(&status.to_string()));
    }
    let left = left(tools, &name);
    if left.is_empty() { Ok(()) } else { Err(running.failure(&format!("left behind: {}", left.join(", ")))) }
}

/// The processes and files of a life that is over.
fn left(tools: &Tools, name: &str) -> Vec<String> {
    let mark = format!("SOAK_LIFE={name}");
    let marked = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let orphans = system::descendants(std::process::id()).into_iter().filter(marked);
    let mut left: Vec<String> = orphans.map(|pid| format!("process {pid}")).collect();
    left.extend(files(tools).into_iter().filter(|file| file.contains(&format!("/{name}."))));
    left
}

/// What lies in the directories of control sockets and of servers' paths.
pub fn files(tools: &Tools) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![runtime(tools), sockets(tools)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            // The directory all control sockets share stays.
            if !path.ends_with("run/endless") {
                found.push(path.display().to_string());
            }
            if path.is_dir() {
                directories.push(path);
            }
        }
    }
    found
}
