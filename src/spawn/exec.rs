//! `endless exec -- COMMAND`: puts LISTEN_PID right behind a wrapper that took the pid.

use super::report::Step;
use crate::sys::signals;
use crate::words::Failure;
use nix::errno::Errno;
use nix::unistd::execvpe;
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Executes the command in place of this process, searched along PATH. Where LISTEN_FDS is set, LISTEN_PID becomes our
/// own pid (sd_listen_fds(3)); nothing else changes.
///
/// # Errors
/// When it cannot be executed; [`Failure::exit_code`] is 127 or 126.
pub fn exec(command: &[OsString]) -> Result<Infallible, Failure> {
    let name = command.first().map(OsString::as_os_str).unwrap_or_default();
    let step = format!("{} {}", Step::EXECUTE, name.to_string_lossy());
    let failed = |errno| Failure::NotExecuted { step: step.clone(), errno: errno as i32 };
    let argv = command.iter().map(|word| zero_ended(&[word])).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let program = argv.first().ok_or_else(|| failed(Errno::ENOENT))?;
    let envp = environment().map_err(failed)?;
    // It is ignored since we began; the command gets it as we did.
    signals::restore_sigpipe();
    execvpe(program, &argv, &envp).map_err(failed)
}

fn environment() -> nix::Result<Vec<CString>> {
    let pid = OsString::from(std::process::id().to_string());
    let activated = std::env::var_os("LISTEN_FDS").is_some();
    let (ours, equals) = (OsStr::new("LISTEN_PID"), OsStr::new("="));
    let mut envp = std::env::vars_os()
        .filter(|(name, _)| !(activated && name == ours))
        .map(|(name, value)| zero_ended(&[&name, equals, &value]))
        .collect::<nix::Result<Vec<_>>>()?;
    if activated {
        envp.push(zero_ended(&[ours, equals, &pid])?);
    }
    Ok(envp)
}

fn zero_ended(parts: &[&OsStr]) -> nix::Result<CString> {
    CString::new(parts.join(OsStr::new("")).as_bytes()).map_err(|_| Errno::EINVAL)
}
