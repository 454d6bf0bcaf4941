//! The completions in completions/: made from clap's definition, and from what stands here about what clap does not know: the
//! names of what runs, and that after `--` comes a command.

use super::{read, root};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, CommandFactory, ValueHint};
use clap_complete::{Shell, generate};
use endless::cli::{self, ClientArgs};
use std::process;

const FILES: [(&str, Shell); 3] = [
    ("completions/endless.bash", Shell::Bash),
    ("completions/_endless", Shell::Zsh),
    ("completions/endless.fish", Shell::Fish),
];

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
        signal:*:signal) mapfile -t COMPREPLY < <(compgen -A signal -- "$2") ;;
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

_endless_or_command() {
    local at=${words[(i)--]}
    if ((at < CURRENT)); then
        words=("${(@)words[at + 1, -1]}")
        ((CURRENT -= at))
        _normal
    else
        _endless "$@"
    fi
}

if [ "$funcstack[1]" = "_endless" ]; then
    _endless_or_command "$@"
else
    compdef _endless_or_command endless
fi
"#;

const FISH: &str = r#"
function __fish_endless_names
    NAMES
end

complete -c endless -n "__fish_endless_using_subcommand status restart stop hammer upgrade signal" -f -a "(__fish_endless_names)" -d 'running'
"#;

/// The whole program as one command of clap. Its target stands behind `--`, where no completion of clap's is asked.
fn whole() -> Command {
    let themes = cli::command();
    let options = themes.get_arguments().filter(|arg| !arg.is_positional()).cloned().map(with_values);
    let options: Vec<Arg> = options.collect();
    let check = Command::new("check").about("Says what would run, and runs nothing").args(options.clone());
    let exec = Command::new("exec").about("Inside a wrapper: sets LISTEN_PID and becomes COMMAND");
    let presets = Command::new("presets").about("Lists the presets, and what they set");
    let clients: Vec<Command> = ClientArgs::command().get_subcommands().cloned().collect();
    let run = Command::new("endless").version("").args(options).disable_help_subcommand(true);
    run.subcommands(clients).subcommands([check, exec, presets])
}

/// The values that the help lists: "FORMAT: text, json [default: text]".
fn with_values(arg: Arg) -> Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let text = help.split(" [default").next().unwrap_or_default();
    let listed = text.rsplit_once(": ").map_or("", |(_, listed)| listed);
    let words: Vec<&'static str> = listed.split(", ").map(|word| &*word.to_owned().leak()).collect();
    let plain = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    if matches!(arg.get_action(), ArgAction::Set) && words.len() > 1 && words.iter().all(plain) {
        return arg.value_parser(PossibleValuesParser::new(words));
    }
    let command = arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "COMMAND"));
    if command { arg.value_hint(ValueHint::CommandString) } else { arg }
}

fn script(shell: Shell) -> String {
    let mut text = Vec::new();
    generate(shell, &mut whole(), "endless", &mut text);
    let text = String::from_utf8(text).unwrap_or_default();
    let before = |mark: &str| text.split(mark).next().unwrap_or_default().to_owned();
    let (before, after) = match shell {
        Shell::Bash => (before("\nif [[ \"${BASH_VERSINFO[0]}\" -eq 4"), BASH),
        Shell::Zsh => (before("if [ \"$funcstack[1]\" = \"_endless\" ]"), ZSH),
        _ => (text, FISH),
    };
    let lines = before.lines().map(|line| match line.contains("::name -- Its name") {
        true => line.replace(":_default'", ":_endless_names'"),
        false => line.to_owned(),
    });
    lines.map(|line| line.trim_end().to_owned() + "\n").collect::<String>() + &after.replace("NAMES", NAMES)
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

/// What bash makes of these words with Tab behind the last one, where one endless called `target` runs.
fn bash(words: &[&str]) -> Vec<String> {
    const DRIVE: &str = r#"
        endless() { echo '{"name":"target","pid":7}'; }
        source "$1"
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _endless_or_command "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut command = process::Command::new("bash");
    command.args(["--norc", "-c", DRIVE, "bash"]).arg(root().join(FILES[0].0)).args(words).current_dir(root());
    let said = command.output().unwrap_or_else(|error| panic!("bash: {error}"));
    assert!(said.stderr.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_subcommands_options_values_names_and_the_command() {
    assert_eq!(bash(&["endless", "resta"]), ["restart"]);
    assert_eq!(bash(&["endless", "--max-r"]), ["--max-retiring"]);
    assert_eq!(bash(&["endless", "-q", "--kill-mode", ""]), ["mixed", "group", "process"]);
    assert_eq!(bash(&["endless", "--config", "Cargo.t"]), ["Cargo.toml"]);
    assert_eq!(bash(&["endless", "restart", "--dr"]), ["--drained"]);
    assert_eq!(bash(&["endless", "restart", ""]), ["target"]);
    assert_eq!(bash(&["endless", "signal", "SIGHU"]), ["SIGHUP"]);
    assert_eq!(bash(&["endless", "signal", "HUP", "tar"]), ["target"]);
    assert_eq!(bash(&["endless", "stop", "--pid-file", "Cargo.l"]), ["Cargo.lock"]);
    assert!(bash(&["endless", "-l", ":80", "--", "unshar"]).contains(&"unshare".to_owned()));
    assert_eq!(bash(&["endless", "--", "cat", "Cargo.l"]), ["Cargo.lock"]);
}
