//! `endless check`: says what would run, and runs nothing.

use crate::support::{ENDLESS, Setup, endless};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Its answer goes to a file, so that the two streams can be told apart.
fn checking(options: &str) -> Setup {
    Setup::behind(&["sh", "-c", "exec \"$@\" >out", "sh"], &format!("check {options}"))
}

#[test]
fn it_prints_the_plan_and_touches_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let options = format!(
        "-l web={at} -l {{dir}}/s,mode=0600 --ready probe=http:/health --hammer never --umask 0022 -e A=b \
         --pid-file {{dir}}/pid --status-file {{dir}}/status --log-file {{dir}}/log --output {{dir}}/print --events {{dir}}/events"
    );
    let setup = checking(&options).option("--hook", "begin=touch {dir}/began");
    let mut endless = setup.start(&["print=started"]);
    assert_eq!(endless.ended_clean(), 0);
    assert_eq!(endless.everything(), Vec::<String>::new(), "nothing on stderr, nothing started");
    let out = fs::read_to_string(endless.file("out")).unwrap();
    let words: Vec<String> = out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        &format!("listener web: TCP {at}, descriptor 3"),
        "ready probe=http:/health",
        "hammer never",
        "umask 0022",
        "env A=b",
        "on HUP restart",
        "watchdog none",
        "kept at most 64 descriptors of copies",
        "log text, what happens",
        &format!("pid file {}", endless.file("pid").display()),
    ] {
        assert!(words.iter().any(|one| one == line), "no {line:?} in {out}");
    }
    let path = endless.file("s");
    let listener = format!("Unix stream {} (mode=0600), descriptor 4", path.display());
    assert!(words.iter().any(|one| one.ends_with(&listener)), "{out}");
    let left: Vec<_> = fs::read_dir(endless.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["out"], "nothing bound, written or run");
}

#[test]
fn wrong_use_is_2_and_says_why_on_stderr() {
    for options in ["-l 127.0.0.1", "--hammer soon", "--no-such-option", "-l 127.0.0.1:0,mode=0600"] {
        let mut endless = checking(options).start(&[]);
        assert_eq!(endless.ended_clean(), 2, "{options}");
        let said = endless.everything().join("\n");
        assert!(said.starts_with("endless: ") && said.contains("hint: "), "{said}");
        assert_eq!(fs::read_to_string(endless.file("out")).unwrap(), "", "{options}");
    }
}

#[test]
fn a_command_that_is_not_there_is_found_out() {
    for command in ["/no/such/server", "no-such-server-anywhere"] {
        let mut checked = checking("-l 127.0.0.1:0").start_command(&[command]);
        let mut run = endless("-l 127.0.0.1:0").start_command(&[command]);
        assert_eq!((checked.ended_clean(), run.ended_clean()), (127, 127), "{:?}", run.said());
        assert!(checked.everything().join("\n").contains(command), "{:?}", checked.said());
    }
}

/// What a word that answers does with this standard output, beside the running endless of a test or by itself.
fn answer_to(output: impl Into<Stdio>, words: &str, control: &Path) -> Output {
    let mut command = Command::new(ENDLESS);
    command.args(words.split(' ')).env("ENDLESS_CONTROL", control).stdin(Stdio::null()).stdout(output);
    command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure_and_a_reader_that_goes_is_none() {
    let running = endless("-l 127.0.0.1:0").start(&[]);
    running.ready(1);
    let control = running.file("endless/target.sock");
    for (words, code) in [
        ("check -l :0 -- true", 125),
        ("presets", 125),
        ("--help", 125),
        ("status", 1),
        ("status target", 1),
        ("status --json target", 1),
    ] {
        let full = answer_to(fs::File::create("/dev/full").unwrap(), words, &control);
        assert_eq!(full.status.code(), Some(code), "{words}: {full:?}");
        let said = String::from_utf8(full.stderr).unwrap();
        assert!(said.starts_with("endless: the answer cannot be written to standard output: No space"), "{said}");
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let closed = answer_to(write, words, &control);
        assert_eq!((closed.status.code(), closed.stderr.as_slice()), (Some(0), &b""[..]), "{words}");
    }
    // What is asked for is done, and the exit status says so.
    let done = answer_to(fs::File::create("/dev/full").unwrap(), "restart target", &control);
    assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), &b""[..]));
    running.ready(2);
}

#[test]
fn a_complaint_that_cannot_be_written_leaves_the_exit_status() {
    let mut command = Command::new(ENDLESS);
    let status = command.args(["check", "-l", ":x", "--", "true"]).stderr(fs::File::create("/dev/full").unwrap());
    assert_eq!(status.status().unwrap().code(), Some(2));
}
