//! `--watch` and `--watch-exec`: what is restarted for when it changes.

use super::error::{Error, Fault};
use super::{Hook, value};
use crate::cli::WatchArgs;
use crate::words::HookPoint;
use std::path::PathBuf;

/// The paths of `--watch`, none of them for the program; None without it.
pub(super) fn paths(args: &WatchArgs) -> Result<Option<Vec<PathBuf>>, Error> {
    for path in args.watch.iter().flatten() {
        path.metadata().map_err(|error| {
            let fault = Fault::new(format!("it cannot be watched: {error}"), "an existing file or directory");
            fault.at("--watch", path.to_string_lossy())
        })?;
    }
    Ok(args.watch.clone())
}

/// The command of `--watch-exec`.
pub(super) fn exec(args: &WatchArgs) -> Result<Option<Hook>, Error> {
    let Some(text) = args.watch_exec.as_deref() else { return Ok(None) };
    let fault = match &args.watch {
        None => Fault::new("nothing is watched", "--watch PATH with it, such as --watch src"),
        Some(paths) if paths.is_empty() => Fault::new(
            "it would run because the program has changed, which it makes",
            "what the program is made from: --watch PATH, such as --watch src",
        ),
        Some(_) => match value::command(text) {
            Ok(command) => return Ok(Some(Hook { point: HookPoint::Watch, command })),
            Err(fault) => fault,
        },
    };
    Err(fault.at("--watch-exec", text))
}
