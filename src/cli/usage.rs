//! Wrong use, and the texts around the list of options.

use super::Invocation;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::{OsStr, OsString};
use std::fmt;

/// The end of `-h`. These lines fit 80 columns, so that no terminal breaks them.
pub(super) const AFTER_HELP: &str = "\
Every option can be set by its variable; on the command line it wins.
--help says more about each.

Example: endless -l localhost:4242 --hammer 60s -- ./simple_server
   then: pkill -HUP endless";

/// The end of `--help`.
pub(super) const AFTER_LONG_HELP: &str = "\
Subcommands:
  endless check [OPTIONS] -- COMMAND   say what would run, and run nothing
  endless exec -- COMMAND              inside a wrapper: set LISTEN_PID to the
                                       own pid, then become COMMAND
  endless status [NAME]                show what runs, or one in detail
  endless restart [NAME]               restart and wait until the new one serves
  endless stop [NAME]                  stop, and wait for the end
  endless hammer [NAME]                kill what is retiring
  endless signal SIGNAL [NAME]         do what that signal to endless does
  endless upgrade [NAME]               put a new endless in its place
  endless presets                      list the presets, and what they set

Durations:
  90s, 2m 30s, 1500ms; a bare number is seconds. -1, never or off switch off
  what can be switched off.

Variables:
  Every option can be set by the variable shown with it; an option on the
  command line wins. Options that can be repeated are split on blanks
  (ENDLESS_LISTEN='localhost:4242 /run/app.sock'), hooks and checks on line
  ends. Switches take yes or no. A variable that is empty counts as not set.

Exit status:
  The target's own; 128+n when signal n ended it; 0 after a stop that was asked
  for; 137 when the hammer was needed for the active copy; 125 when endless
  itself failed; 126 COMMAND cannot be executed; 127 not found; 2 wrong use.

Examples:
  endless -l localhost:4242 --hammer 60s -- ./simple_server
  endless -l :80 --ready probe=http:/health --check './server -t' -- ./server
  endless -l /run/app.sock,mode=0660 --preset gunicorn -- gunicorn app:app
  endless -l localhost:4242 --pass none -- uvicorn --fd {fd} app:app
  endless -l :8000 --preset gunicorn -- uv run endless exec -- gunicorn app:app";

/// A command line that does not have the shape of one. Its exit status is 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    message: String,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UsageError {}

impl UsageError {
    /// What clap says, in the form of all other errors: the fault on the first line, its tip as the hint.
    pub(super) fn from_clap(error: &clap::Error, command: &str) -> UsageError {
        if let Some(wrong) = wrong_variable(error) {
            return wrong;
        }
        let text = error.render().to_string();
        let fault = UsageError::fault(error);
        // What comes after `--` is COMMAND: no place for a value.
        let tips = text.lines().filter_map(|line| line.trim_start().strip_prefix("tip: "));
        let tips: Vec<&str> = tips.filter(|tip| !tip.contains("use '-- ")).collect();
        let list = format!("{command} --help lists the options");
        match tips.is_empty() {
            false => UsageError::new(fault, tips.join("; ")),
            true if fault.starts_with("unexpected argument '-") => {
                UsageError::new(fault, format_args!("{list}; a value that begins with `-` follows a `=`: --OPTION=-1"))
            }
            true => UsageError::new(fault, list),
        }
    }

    /// Some of these words are no text, and clap does not say which of them it minds.
    pub(super) fn no_text(words: &[OsString]) -> UsageError {
        let strange = |at: &usize| words[*at].to_str().is_none();
        let option = |at: usize| words[..at].last().filter(|before| before.as_encoded_bytes().starts_with(b"-"));
        let named = (0..words.len()).filter(strange).map(|at| match option(at) {
            Some(before) => format!("{} {}", before.display(), words[at].display()),
            None => words[at].display().to_string(),
        });
        let ours = |(name, value): &(OsString, OsString)| {
            name.as_encoded_bytes().starts_with(b"ENDLESS_") && value.to_str().is_none()
        };
        let variables = std::env::vars_os().filter(ours).map(|(name, _)| name.display().to_string());
        let named: Vec<String> = named.chain(variables).collect();
        let hint = "paths of files, --env and COMMAND may hold any bytes; everything else is text";
        UsageError::new(format_args!("{}: this is no UTF-8", named.join(", ")), hint)
    }

    /// A word with one dash that is the name of a long option: clap would take its letters for options of their own, and the
    /// first `h` for a call for help.
    pub(super) fn one_dash(words: &[OsString]) -> Result<(), UsageError> {
        let command = super::command();
        let name = |word: &OsString| {
            let name = word.to_str()?.strip_prefix('-')?.split('=').next()?.to_owned();
            command.get_arguments().any(|arg| arg.get_long() == Some(&*name)).then_some(name)
        };
        match words.iter().find_map(|word| Some((word, name(word)?))) {
            Some((word, name)) => Err(UsageError::new(
                format_args!("`{}`: one dash is for options of one letter", word.display()),
                format_args!("two dashes: --{name}"),
            )),
            None => Ok(()),
        }
    }

    /// What is wrong, without a way out.
    pub(super) fn fault(error: &clap::Error) -> String {
        if let (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(names))) =
            (error.kind(), error.get(ContextKind::InvalidArg))
        {
            return format!("{} is missing", names.join(" and "));
        }
        let text = error.render().to_string();
        text.strip_prefix("error: ").unwrap_or(&text).lines().next().unwrap_or_default().to_owned()
    }

    pub(super) fn new(what: impl fmt::Display, hint: impl fmt::Display) -> UsageError {
        UsageError { message: format!("{what}\nhint: {hint}") }
    }
}

/// A switch takes no value on the command line: a wrong one is its variable's.
fn wrong_variable(error: &clap::Error) -> Option<UsageError> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let option = text(ContextKind::InvalidArg).filter(|_| error.kind() == ErrorKind::ValueValidation)?;
    let variable = option.trim_matches(['-', '.']).replace('-', "_").to_uppercase();
    let hint = if option.starts_with("--verbose") { "how often -v: 0, 1 or 2" } else { "yes or no" };
    let value = text(ContextKind::InvalidValue)?;
    Some(UsageError::new(format_args!("ENDLESS_{variable}={value}: `{value}` is no value of a switch"), hint))
}

/// `endless exec -- COMMAND`.
pub(super) fn exec(options: &[OsString], target: Vec<OsString>) -> Result<Invocation, UsageError> {
    match options.first().map(|word| (word, word.to_str())) {
        Some((_, Some("-h" | "--help"))) => Ok(Invocation::Print(EXEC_HELP.to_owned())),
        Some((word, _)) => Err(UsageError::new(
            format_args!("`{}`: exec takes no options, and its COMMAND stands after `--`", word.display()),
            "endless exec -- COMMAND [ARG]...",
        )),
        None if target.is_empty() => {
            Err(UsageError::new("exec: there is no COMMAND", "endless exec -- COMMAND [ARG]..."))
        }
        None => Ok(Invocation::Exec(target)),
    }
}

/// `endless presets`.
pub(super) fn presets(options: &[OsString], target: &[OsString]) -> Result<Invocation, UsageError> {
    match options.iter().chain(target).next().map(|word| (word, word.to_str())) {
        None => Ok(Invocation::Presets),
        Some((_, Some("-h" | "--help"))) => Ok(Invocation::Print(PRESETS_HELP.to_owned())),
        Some((word, _)) => {
            Err(UsageError::new(format_args!("`{}`: presets takes nothing", word.display()), "endless presets"))
        }
    }
}

const PRESETS_HELP: &str = "\
Usage: endless presets

Lists the presets of --preset: name, what it sets, why.
";

const EXEC_HELP: &str = "\
Usage: endless exec -- COMMAND [ARG]...

Sets LISTEN_PID to the own pid and becomes COMMAND. For the inside of a wrapper that starts the server as its child:
  endless -l :8000 --preset gunicorn -- uv run endless exec -- gunicorn app:app
";

/// Words before `--` are never the target, so they are an error that says what was probably meant.
pub(super) fn refuse_stray_words(stray: &[OsString], target: &[OsString]) -> Result<(), UsageError> {
    let Some(first) = stray.first() else {
        return if target.is_empty() {
            Err(UsageError::new(
                "there is no COMMAND to run",
                "endless [OPTIONS] -- COMMAND [ARG]...; --help lists the options",
            ))
        } else {
            Ok(())
        };
    };
    let what = format!("`{}` stands before `--`: only options do, and COMMAND comes after it", first.display());
    Err(UsageError::new(what, likely_intent(first, stray, target)))
}

fn likely_intent(first: &OsStr, stray: &[OsString], target: &[OsString]) -> String {
    let text = first.to_string_lossy();
    match &*text {
        "help" => return "endless --help".to_owned(),
        "reload" => return "endless restart [NAME]".to_owned(),
        "start" | "run" => return "endless [OPTIONS] -- COMMAND".to_owned(),
        _ => {}
    }
    let address =
        text.parse::<u16>().is_ok() || text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if matches!(&*text, "check" | "exec" | "presets") || super::client::WORDS.contains(&&*text) {
        match &*text {
            "presets" => "presets stands alone: endless presets".to_owned(),
            "check" | "exec" => format!("a subcommand comes first: endless {text} [OPTIONS] -- COMMAND"),
            _ => format!("a subcommand comes first: endless {text} [NAME]"),
        }
    } else if address {
        format!("to listen there: endless -l {text} -- COMMAND")
    } else if target.is_empty() {
        let words: Vec<_> = stray.iter().map(|word| word.to_string_lossy()).collect();
        format!("to run it, put `--` before it: endless [OPTIONS] -- {}", words.join(" "))
    } else {
        format!("take `{text}` away, or give it to the option it belongs to: --OPTION={text}")
    }
}
