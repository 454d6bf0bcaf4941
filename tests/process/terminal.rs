//! `endless status --watch` on a real terminal, which is tmux: what is on the screen, and what is left of it.

use crate::support::{Endless, endless, until};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A tmux of the test's own, with one shell in it.
struct Terminal {
    directory: PathBuf,
}

impl Terminal {
    /// None where there is no tmux.
    fn open(endless: &Endless) -> Option<Terminal> {
        let terminal = Terminal { directory: endless.dir().to_owned() };
        let control = format!("ENDLESS_CONTROL={}", endless.file("endless/target.sock").display());
        let shell = ["new-session", "-d", "-x", "100", "-y", "24", "env", &control, "PS1=$ ", "ENV=", "sh"];
        let opened = terminal.command(&shell).stderr(Stdio::null()).status();
        if opened.is_ok_and(|status| status.success()) {
            return Some(terminal);
        }
        eprintln!("skipped: there is no tmux");
        None
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-L", "endless-test", "-f", "/dev/null"]).args(words);
        command.env("TMUX_TMPDIR", &self.directory).env("LC_ALL", "C.UTF-8").env_remove("TMUX").env("TERM", "xterm");
        command
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let done = self.command(words).output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    #[track_caller]
    fn shows(&self, part: &str) {
        until(&format!("the screen shows {part:?}"), || self.screen().contains(part).then_some(()));
    }

    fn types(&self, line: &str) {
        self.run(&["send-keys", "-l", line]);
        self.run(&["send-keys", "Enter"]);
    }

    /// Whether another screen is in front of the usual one, and whether there is a cursor.
    fn state(&self) -> (bool, bool) {
        let text = self.run(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        (text.starts_with('1'), text.trim_end().ends_with('1'))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]).stderr(Stdio::null()).status();
    }
}

#[test]
fn the_status_is_drawn_in_place_follows_the_size_and_leaves_the_terminal_as_it_was() {
    let endless = endless("-l 127.0.0.1:0 --probation 0").start(&[]);
    let first = endless.ready(1);
    let Some(terminal) = Terminal::open(&endless) else { return };
    terminal.types("echo was-here-$((1+1))");
    terminal.shows("was-here-2");
    let watch = format!("{} status --watch; echo ended-with-$?", crate::support::ENDLESS);
    terminal.types(&watch);
    terminal.shows("generation 1 serves");
    assert_eq!(terminal.state(), (true, false), "a screen of its own, without a cursor");
    assert!(!terminal.screen().contains("was-here"), "{}", terminal.screen());
    let second = endless.restart(2);
    terminal.shows("generation 2 serves");
    endless.gone(1);
    until("only the second one is on the screen", || {
        let screen = terminal.screen();
        let has = |pid: Pid| screen.split(|c: char| !c.is_ascii_digit()).any(|word| word == pid.to_string());
        let gone = !has(first) && has(second);
        (gone && screen.matches("serves").count() == 1).then_some(())
    });
    // What is wider than the screen is cut and not wrapped: the first line stays the first.
    let top = terminal.screen().lines().next().unwrap().to_owned();
    let (top, _) = top.split_once(", up ").unwrap();
    terminal.run(&["resize-window", "-x", "20", "-y", "5"]);
    let cut: String = top.chars().take(20).collect();
    until("it is cut", || {
        let screen = terminal.screen();
        (screen.lines().count() <= 5 && screen.lines().next() == Some(cut.trim_end())).then_some(())
    });
    assert_eq!(terminal.run(&["capture-pane", "-pJ"]).lines().next().map(str::trim_end), Some(cut.trim_end()));
    terminal.run(&["resize-window", "-x", "100", "-y", "24"]);
    terminal.shows(top);
    for (key, number) in [("q", 1), ("C-c", 2), ("C-d", 3)] {
        terminal.run(&["send-keys", key]);
        terminal.shows("ended-with-0");
        assert_eq!(terminal.state(), (false, true), "{key}: the usual screen, with a cursor");
        assert!(terminal.screen().contains("was-here-2"), "{key}: what was there before: {}", terminal.screen());
        terminal.types(&format!(
            "stty -a | tr ' ;' '\\n\\n' | grep -x -e icanon -e echo | wc -l | sed s/^/{number}-modes-/"
        ));
        terminal.shows(&format!("{number}-modes-2"));
        terminal.types("clear");
        terminal.types("echo was-here-$((1+1))");
        terminal.shows("was-here-2");
        until("it is clear", || (!terminal.screen().contains("ended-with")).then_some(()));
        terminal.types(&watch);
        terminal.shows("generation 2 serves");
    }
    terminal.run(&["send-keys", "q"]);
    terminal.shows("ended-with-0");
}
