//! The completions in completions/: made from clap's definition, and from what stands here about what clap does not know: the
//! names of what runs, and that after `--` comes a command.

use super::{read, root};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, CommandFactory, ValueHint};
use clap_complete::{Shell, generate};
use endless::cli::{self, ClientArgs};
use endless::plan::presets;
use std::collections::BTreeSet;
use std::process;

const FILES: [(&str, Shell); 3] = [
    ("completions/endless.bash", Shell::Bash),
    ("completions/_endless", Shell::Zsh),
    ("completions/endless.fish", Shell::Fish),
];

/// What `--stop-signal` and the like offer; others may be typed.
const SIGNALS: [&str; 10] = ["HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "TSTP", "CONT", "WINCH", "ALRM"];

/// Prints the names of what runs, each in a line.
const NAMES: &str = r#"endless status --json 2>/dev/null | sed -n 's/^{"name":"\([^"]*\)".*/\1/p'"#;

const BASH: &str = r#"
_endless_or_command() {
    local at
    for ((at = 1; at < COMP_CWORD; at++)); do
        [[ ${COMP_WORDS[at]} == -- ]] || continue
        if declare -F _command_offset >/dev/null; then
            _command_offset $((at + 1))
        elif ((at + 1 == COMP_CWORD)); then
            mapfile -t COMPREPLY < <(compgen -c -- "$2")
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$2")
        fi
        return
    done
    case "${COMP_WORDS[1]}:$2:$3" in
        *:-*:* | *:*:--control | *:*:--timeout | *:*:--pid-file | *:*:--status-file) _endless "$@" ;;
        signal:SIG*:signal) mapfile -t COMPREPLY < <(compgen -A signal -- "$2") ;;
        signal:*:signal) mapfile -t COMPREPLY < <(compgen -W "SIGNALS" -- "$2") ;;
        status:* | restart:* | stop:* | hammer:* | upgrade:* | signal:*)
            ((COMP_CWORD > 1)) && mapfile -t COMPREPLY < <(compgen -W "$(NAMES)" -- "$2") || _endless "$@"
            ;;
        *) _endless "$@" ;;
    esac
}

complete -F _endless_or_command -o bashdefault -o default endless
"#;

const ZSH: &str = r#"_endless_names() {
    local -a names
    names=(${(f)"$(NAMES)"})
    _describe -t names 'running endless' names
}

_endless() {
    local at=${words[(i)--]}
    if ((at < CURRENT)); then
        words=("${(@)words[at + 1, -1]}")
        ((CURRENT -= at))
        _normal
    else
        _endless_before_dashes "$@"
    fi
}

if [ "$funcstack[1]" = "_endless" ]; then
    _endless "$@"
else
    compdef _endless endless
fi
"#;

const FISH: &str = r#"
function __fish_endless_names
    NAMES
end

function __fish_endless_wants_signal
    __fish_endless_using_subcommand signal
    and not string match -qr '^[A-Z][A-Z0-9+-]*$' -- (commandline -opc)[3..-1]
end

function __fish_endless_wants_name
    __fish_endless_using_subcommand status restart stop hammer upgrade signal
    and not __fish_endless_wants_signal
end

# Behind the dashes stands a command of its own.
function __fish_endless_behind_dashes
    contains -- -- (commandline -opc)
end

function __fish_endless_command
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    set -e words[1..$at]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

complete -c endless -n __fish_endless_wants_signal -f -a 'SIGNALS' -d 'signal'
complete -c endless -n __fish_endless_wants_name -f -a '(__fish_endless_names)' -d 'running'
complete -c endless -n __fish_endless_behind_dashes -f -a '(__fish_endless_command)'
"#;

/// Where it is asked whether there is a subcommand yet: not in the value of an option that is just being typed, which
/// argparse(1) would miss, and not behind the dashes.
const FISH_ASKS: [(&str, &str); 2] = [
    ("    set -e cmd[1]\n    argparse", "    set -e cmd[1]\n    contains -- -- $cmd\n    and return 1\n    argparse"),
    (
        " -- $cmd 2>/dev/null\n    or return",
        " -- $cmd 2>/dev/null\n    or argparse -s (__fish_endless_global_optspecs) -- $cmd '' 2>/dev/null\n    or return",
    ),
];

/// The whole program as one command of clap. Its target stands behind `--`, where no completion of clap's is asked.
fn whole() -> Command {
    let themes = cli::command();
    let options = themes.get_arguments().filter(|arg| !arg.is_positional()).cloned().map(with_values);
    let options: Vec<Arg> = options.collect();
    let check = Command::new("check").about("Says what would run, and runs nothing").args(options.clone());
    let exec = Command::new("exec").about("Inside a wrapper: sets LISTEN_PID and becomes COMMAND");
    let presets = Command::new("presets").about("Lists the presets, and what they set");
    let clients = ClientArgs::command();
    let clients: Vec<Command> = clients.get_subcommands().cloned().map(|one| one.mut_args(with_values)).collect();
    let run = Command::new("endless").version("").args(options).disable_help_subcommand(true);
    run.subcommands(clients).subcommands([check, exec, presets])
}

/// The values that the help lists: "FORMAT: text, json [default: text]".
fn with_values(arg: Arg) -> Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let text = help.split(" [default").next().unwrap_or_default();
    let listed = text.rsplit_once(": ").map_or("", |(_, listed)| listed).replace(" or ", ", ");
    let words =
        listed.split(", ").map(|word| word.split(" (").flat_map(|word| word.split('[')).next().unwrap_or_default());
    let plain = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let words: Vec<&'static str> = words.filter(plain).map(|word| &*word.to_owned().leak()).collect();
    let named = |value: &str| arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == value));
    if named("SIGNAL") {
        arg.value_parser(PossibleValuesParser::new(SIGNALS))
    } else if arg.get_id() == "preset" {
        arg.value_parser(PossibleValuesParser::new(presets::all().iter().map(|preset| preset.name)))
    } else if matches!(arg.get_action(), ArgAction::Set) && words.len() > 1 {
        arg.value_parser(PossibleValuesParser::new(words))
    } else if named("COMMAND") {
        arg.value_hint(ValueHint::CommandString)
    } else if named("USER") {
        arg.value_hint(ValueHint::Username)
    } else {
        arg
    }
}

fn script(shell: Shell) -> String {
    let mut text = Vec::new();
    generate(shell, &mut whole(), "endless", &mut text);
    let text = String::from_utf8(text).unwrap_or_default();
    let before = |mark: &str| text.split(mark).next().unwrap_or_default().to_owned();
    let (before, after) = match shell {
        Shell::Bash => (before("\nif [[ \"${BASH_VERSINFO[0]}\" -eq 4"), BASH),
        // The function of the file's name is the one that stays: it has to be ours.
        Shell::Zsh => {
            let whole = before("if [ \"$funcstack[1]\" = \"_endless\" ]");
            (whole.replacen("\n_endless() {", "\n_endless_before_dashes() {", 1), ZSH)
        }
        _ => (FISH_ASKS.iter().fold(text, |text, (from, to)| text.replacen(from, to, 1)), FISH),
    };
    let lines = before.lines().map(|line| match line.contains("::name -- Its name") {
        true => line.replace(":_default'", ":_endless_names'"),
        false => line.to_owned(),
    });
    lines.map(|line| line.trim_end().to_owned() + "\n").collect::<String>()
        + &after.replace("NAMES", NAMES).replace("SIGNALS", &SIGNALS.join(" "))
}

#[test]
fn the_generated_parts_are_up_to_date() {
    for (path, shell) in FILES {
        let fresh = script(shell);
        if std::env::var_os("UPDATE_PAGES").is_some() {
            std::fs::write(root().join(path), fresh).expect("the file can be written");
        } else {
            assert!(read(path) == fresh, "{path} is out of date, make pages rewrites it");
        }
    }
}

#[test]
fn the_shells_that_are_here_find_no_fault_with_them() {
    for (path, shell) in FILES {
        let program = shell.to_string();
        match process::Command::new(&program).arg("-n").arg(root().join(path)).output() {
            Ok(said) => {
                let errors = String::from_utf8_lossy(&said.stderr).into_owned();
                assert!(said.status.success() && errors.is_empty(), "{path}: {errors}");
            }
            Err(_) => eprintln!("{program} is not here: {path} is not checked"),
        }
    }
}

/// What bash makes of each line with Tab behind it, where one endless called `target` runs; in front of it stands a line with `=`.
const BASH_DRIVE: &str = r#"
    endless() { echo '{"name":"target","pid":7}'; }
    source "$1"
    for line in "${@:2}"; do
        eval "COMP_WORDS=($line)"
        [[ $line == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
        _endless_or_command endless "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' = "${COMPREPLY[@]}"
    done
"#;

/// The same of zsh, in a terminal of its own. Everything that would be listed goes through compadd.
const ZSH_DRIVE: &str = r#"
    zmodload zsh/zpty
    zpty -b inner zsh -f
    zpty -w inner "fpath=(${(q)1:h} \$fpath); PS1=; unsetopt zle_bracketed_paste"
    zpty -w inner 'autoload -Uz compinit && compinit -u -D
    endless() { echo "{\"name\":\"target\",\"pid\":7}" }
    compadd() {
        local -a fit
        ((${@[(i)-[OAD]*]} <= $#)) || { builtin compadd -O fit "$@"; all+=($fit) }
        builtin compadd "$@"
    }
    ask() { local -a all; zle list-choices; print; print -rl -- "<"$^all">" "asked"for; BUFFER= }
    zle -N ask && bindkey "^I" ask && print "rea"dy'
    zpty -r inner said $'*ready\r\n*'
    for line in "${@:2}"; do
        zpty -w -n inner "$line"$'\t'
        zpty -r inner said '*askedfor*'
        print =
        for line in ${(f)said}; do [[ $line == '<'*'>'* ]] && print -r -- ${${line#<}%%>*}; done
    done
    zpty -d inner
"#;

/// The same of fish, which answers such questions itself.
const FISH_DRIVE: &str = r#"
    function endless; echo '{"name":"target","pid":7}'; end
    source $argv[1]
    for line in $argv[2..-1]
        echo =
        complete -C $line | string replace -r '\t.*' ''
    end
"#;

/// Lines and what is to be offered, sorted.
const LINES: &[(&str, &[&str])] = &[
    ("endless st", &["status", "stop"]),
    ("endless --max-r", &["--max-retiring"]),
    ("endless --drain ", &["off", "queue", "quiet", "soft"]),
    ("endless -q --kill-mode ", &["group", "mixed", "process"]),
    ("endless check -l :80 --drain qui", &["quiet"]),
    ("endless --preset go", &["go-endless", "goagain"]),
    ("endless --stop-signal US", &["USR1", "USR2"]),
    ("endless --config Cargo.t", &["Cargo.toml"]),
    ("endless restart --dr", &["--drained"]),
    ("endless restart ", &["target"]),
    ("endless restart --timeout 5 ta", &["target"]),
    ("endless signal USR", &["USR1", "USR2"]),
    ("endless signal HUP ", &["target"]),
    ("endless stop --pid-file Cargo.l", &["Cargo.lock"]),
    ("endless -l :80 -- unshar", &["unshare"]),
    ("endless -- cat Cargo.l", &["Cargo.lock"]),
];

fn check_what_is_offered(program: &str, script: &str) {
    let (options, drive): (&[&str], _) = match program {
        "bash" => (&["--norc", "-c"], BASH_DRIVE),
        "zsh" => (&["-f", "-c"], ZSH_DRIVE),
        _ => (&["--no-config", "-c"], FISH_DRIVE),
    };
    if process::Command::new(program).arg("--version").output().is_err() {
        // `make setup` installs it.
        return eprintln!("{program} is not here");
    }
    let home = tempfile::tempdir().unwrap_or_else(|error| panic!("no directory: {error}"));
    let mut command = process::Command::new("timeout");
    command.args(["60", program]).args(options).arg(drive).args((program != "fish").then_some(program));
    command.arg(root().join(script)).args(LINES.iter().map(|(line, _)| line));
    command.current_dir(root()).env("HOME", home.path()).env("TERM", "xterm");
    let said = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(said.stderr.is_empty(), "{program}: {}", String::from_utf8_lossy(&said.stderr));
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let mut answers = said.split("=\n").skip(1);
    for (line, expected) in LINES {
        let offered: BTreeSet<&str> = answers.next().unwrap_or_default().lines().collect();
        assert_eq!(offered.into_iter().collect::<Vec<_>>(), *expected, "{program}: {line}");
    }
}

#[test]
fn bash_completes_subcommands_options_values_names_and_the_command() {
    check_what_is_offered("bash", FILES[0].0);
}

#[test]
fn zsh_does_too() {
    check_what_is_offered("zsh", FILES[1].0);
}

#[test]
fn fish_does_too() {
    check_what_is_offered("fish", FILES[2].0);
}
