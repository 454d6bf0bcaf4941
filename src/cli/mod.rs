//! What the command line looks like. Strings in, strings out: what they mean is decided in `plan`.
//!
//! Everything before the first `--` is endless' own, everything after it is the target's and is never looked at here.

mod client;
mod config;
mod environment;
mod listeners;
mod many;
mod output;
mod process;
mod readiness;
mod retirement;
mod short;
mod signals;
#[cfg(test)]
mod tests;
mod usage;
mod watch;

pub use client::{ClientArgs, HammerArgs, RestartArgs, SendArgs, StatusArgs, StopArgs, UpgradeArgs, Whom};
pub use config::read_file;
pub use environment::EnvArg;
pub use listeners::ListenerArgs;
pub use output::OutputArgs;
pub use process::ProcessArgs;
pub use readiness::ReadinessArgs;
pub use retirement::RetirementArgs;
pub use signals::{HookArg, SignalArgs};
pub use usage::UsageError;
pub use watch::WatchArgs;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};
use std::ffi::OsString;

/// Holds your server's sockets and runs your server under them; on SIGHUP a fresh copy takes over and no connection is lost.
///
/// endless binds the addresses once, starts COMMAND with the open sockets, and keeps them open for as long as it lives.
/// `pkill -HUP endless` starts a fresh copy beside the running one, waits until it serves, gives it the new connections
/// and then retires the old copy. A copy that fails to start changes nothing: the old one goes on serving.
#[derive(Debug, Clone, Default, PartialEq, Eq, Parser)]
#[command(
    name = "endless",
    version,
    override_usage = "endless [OPTIONS] -- COMMAND [ARG]...\n       \
                      endless check [OPTIONS] -- COMMAND [ARG]...\n       \
                      endless exec -- COMMAND [ARG]...\n       \
                      endless status|restart|stop|hammer|signal|upgrade [NAME]\n       \
                      endless presets",
    after_help = usage::AFTER_HELP,
    after_long_help = usage::AFTER_LONG_HELP,
    max_term_width = 110,
)]
pub struct Args {
    /// Where to listen and how the target is told.
    #[command(flatten)]
    pub listeners: ListenerArgs,
    /// When a copy serves, and what a restart does.
    #[command(flatten)]
    pub readiness: ReadinessArgs,
    /// How a copy ends.
    #[command(flatten)]
    pub retirement: RetirementArgs,
    /// What signals do, and what runs around it.
    #[command(flatten)]
    pub signals: SignalArgs,
    /// The process the target is started as.
    #[command(flatten)]
    pub process: ProcessArgs,
    /// Names, files and output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Restarts by themselves.
    #[command(flatten)]
    pub watch: WatchArgs,
    /// The program to run and its arguments, after `--`
    #[arg(value_name = "COMMAND", last = true, help_heading = "Target")]
    pub command: Vec<OsString>,
    /// The long names of the options whose value came from an ENDLESS_ variable.
    #[arg(skip)]
    pub from_environment: Vec<String>,
    /// The text of the file of `--config`.
    #[arg(skip)]
    pub configuration: Option<Vec<u8>>,
    /// The long names of the options that stand in that file and not on the command line.
    #[arg(skip)]
    pub from_file: Vec<String>,
    /// The long names of the options whose value came from the preset.
    #[arg(skip)]
    pub from_preset: Vec<String>,
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// `endless [OPTIONS] -- COMMAND`: run it.
    Run(Box<Args>),
    /// `endless check [OPTIONS] -- COMMAND`: say what would run.
    Check(Box<Args>),
    /// `endless exec -- COMMAND`: set LISTEN_PID to the own pid and become COMMAND.
    Exec(Vec<OsString>),
    /// `endless status`, `restart`, `stop`, `hammer`, `signal` or `upgrade`: talk to a running one.
    Ask(Box<ClientArgs>),
    /// `endless presets`: list them.
    Presets,
    /// `endless --can-take-over FD`, asked by a running endless that is to be upgraded: read the state there.
    Rehearse(i32),
    /// `--help` or `--version`: print this on stdout and exit with 0.
    Print(String),
}

/// The command as clap sees it: for the help, the man page and the tests that compare them.
#[must_use]
pub fn command() -> clap::Command {
    Args::command().mut_args(without_empty_variable)
}

/// Reads a whole command line, the program's own name included. `environment`: the variables endless has, among which may be
/// options.
///
/// # Errors
/// Everything that does not have the shape of a command line of endless; its exit status is 2.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &[(OsString, OsString)],
) -> Result<Invocation, UsageError> {
    parse_with(args, environment, None)
}

/// The same with this text in the place of the file of `--config`, as it was when it was read.
///
/// # Errors
/// As for [`parse`].
pub fn parse_with(
    args: impl IntoIterator<Item = OsString>,
    environment: &[(OsString, OsString)],
    configuration: Option<&[u8]>,
) -> Result<Invocation, UsageError> {
    let mut args = args.into_iter().skip(1).peekable();
    if args.next_if(|first| first == "--can-take-over").is_some() {
        let number = args.next().and_then(|number| number.to_str()?.parse().ok());
        return Ok(Invocation::Rehearse(number.unwrap_or(-1)));
    }
    if args.peek().is_some_and(|first| client::WORDS.iter().any(|word| first == word)) {
        return parse_client(args);
    }
    let subcommand = args.next_if(|first| first == "check" || first == "exec" || first == "presets");
    let mut options: Vec<OsString> = args.by_ref().take_while(|arg| arg != "--").collect();
    let target: Vec<OsString> = args.collect();
    let check = match &subcommand {
        Some(word) if word == "exec" => return usage::exec(&options, target),
        Some(word) if word == "presets" => return usage::presets(&options, &target),
        other => other.is_some(),
    };
    let (text, target, from_file) = match read_configuration(&options, configuration)? {
        Some(File { config, text, alone }) => {
            options.splice(0..0, config.options);
            (Some(text), if target.is_empty() { config.command } else { target }, alone)
        }
        None => (None, target, Vec::new()),
    };
    let merged = text.is_some();
    let plain = if merged || short::among(environment) { None } else { short::read(&options) };
    let mut args = match plain {
        Some(args) => args,
        None => match by_clap(options, merged)? {
            Read::Options(args) => *args,
            Read::Print(text) => return Ok(Invocation::Print(text)),
        },
    };
    usage::refuse_stray_words(&args.command, &target)?;
    args.command = target;
    args.configuration = text;
    args.from_file = from_file;
    let args = Box::new(args);
    Ok(if check { Invocation::Check(args) } else { Invocation::Run(args) })
}

/// What clap makes of the words before `--`.
enum Read {
    Options(Box<Args>),
    Print(String),
}

/// `merged`: what comes later wins.
fn by_clap(mut options: Vec<OsString>, merged: bool) -> Result<Read, UsageError> {
    let taken = many::take_listeners(&mut options);
    options.insert(0, OsString::from("endless"));
    let command = command().args_override_self(merged).mut_arg("command", |arg| arg.last(false).trailing_var_arg(true));
    let mut matches = match command.try_get_matches_from(&options) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::InvalidUtf8 => return Err(UsageError::no_text(&options)),
        Err(error) => {
            UsageError::one_dash(&options)?;
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(Read::Print(error.render().to_string())),
                _ => Err(UsageError::from_clap(&error, "endless")),
            };
        }
    };
    let ordered = environment::Ordered::collect(&matches);
    let mut args =
        Args::from_arg_matches_mut(&mut matches).map_err(|error| UsageError::from_clap(&error, "endless"))?;
    ordered.apply(&mut args);
    if args.command.is_empty() {
        UsageError::one_dash(&options)?;
    }
    environment::put_first(&mut args, taken);
    Ok(Read::Options(Box::new(args)))
}

/// What the file of `--config` holds, its text, and the long names of the options that are said in it alone.
struct File {
    config: config::Config,
    text: Vec<u8>,
    alone: Vec<String>,
}

/// The file of `--config`, where there is one. It and the command line are each looked at alone, so that what is said twice
/// in one of them is an error, and what is said in both is not.
fn read_configuration(options: &[OsString], known: Option<&[u8]>) -> Result<Option<File>, UsageError> {
    let Some(path) = config::path(options, std::env::var_os("ENDLESS_CONFIG")) else { return Ok(None) };
    let wrong = |why: String, hint: &str| UsageError::new(format_args!("--config {}: {why}", path.display()), hint);
    let text = match known {
        Some(text) => text.to_vec(),
        None => read_file(&path).map_err(|error| wrong(error.to_string(), "a file this user can read"))?,
    };
    let config =
        config::read(&text).map_err(|why| wrong(why, "arguments as on the command line, split as a shell does"))?;
    let alone = |options: &[OsString]| {
        let words = std::iter::once(OsString::from("endless")).chain(options.iter().cloned());
        match command().try_get_matches_from(words) {
            Ok(matches) => Ok(environment::typed(&matches)),
            Err(error) if error.use_stderr() => Err(error),
            Err(_) => Ok(Vec::new()),
        }
    };
    match (alone(&config.options), alone(options)) {
        (Err(error), _) => Err(wrong(UsageError::fault(&error), "endless --help lists the options")),
        (Ok(_), Err(error)) => Err(UsageError::from_clap(&error, "endless")),
        (Ok(mut alone), Ok(typed)) => {
            alone.retain(|name| !typed.contains(name));
            Ok(Some(File { config, text, alone }))
        }
    }
}

/// `endless status` and the other words for a running one.
fn parse_client(args: impl Iterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let mut args: Vec<OsString> = args.collect();
    let word = args[0].to_string_lossy().into_owned();
    args.insert(0, OsString::from("endless"));
    let command = ClientArgs::command().mut_subcommands(|command| command.mut_args(without_empty_variable));
    let matches = command.try_get_matches_from(args);
    match matches.and_then(|matches| ClientArgs::from_arg_matches(&matches)) {
        Ok(args) => Ok(Invocation::Ask(Box::new(args))),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Invocation::Print(error.render().to_string()))
        }
        Err(error) => Err(UsageError::from_clap(&error, &format!("endless {word}"))),
    }
}

/// A variable that is set and empty is as good as not set: `ENDLESS_HAMMER=${HAMMER:-}` in a compose file means the default.
fn without_empty_variable(arg: clap::Arg) -> clap::Arg {
    let empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if empty { arg.env(clap::builder::Resettable::Reset) } else { arg }
}
