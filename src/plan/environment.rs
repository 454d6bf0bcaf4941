//! The target's environment: built anew, files read again, at every start.

use super::dotenv;
use super::error::{Error, Fault};
use super::process::{Account, EnvChange, ProcessSpec};
use crate::cli::read_file;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What was said to endless, or given by an endless above this one, and is no business of the target's. By their full
/// names: a LISTEN_ADDR of the target's own passes.
const OWN: [&str; 39] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "LISTEN_FDS_FIRST_FD",
    "WATCHDOG_PID",
    "WATCHDOG_PIDFDID",
    "WATCHDOG_USEC",
    "SERVER_STARTER_PORT",
    "SERVER_STARTER_GENERATION",
    "ENDLESS",
    "ENDLESS_PID",
    "ENDLESS_GENERATION",
    "ENDLESS_WORKER",
    "ENDLESS_SIGNAL",
    "ENDLESS_ADDR",
    "ENDLESS_CHILD_PID",
    "ENDLESS_OLD_PID",
    "ENDLESS_REASON",
    "ENDLESS_CONTINUE",
    "ENDLESS_SOCKET_ORDER",
    "EINHORN_FDS",
    "EINHORN_FD_COUNT",
    "EINHORN_MASTER_PID",
    "EINHORN_SOCK_PATH",
    "EINHORN_SOCK_FD",
    "GOAGAIN_FD",
    "GOAGAIN_NAME",
    "GOAGAIN_PID",
    "GOAGAIN_PPID",
    "GOAGAIN_SIGNAL",
    "OVERSEER_IS_SLAVE",
    "TABLEFLIP_HAS_PARENT_7DIU3",
    "NGINX",
    "UNICORN_FD",
    "FPM_SOCKETS",
    "GUNICORN_FD",
    "GUNICORN_PID",
];

/// Builds the environment of a copy: what endless has, less its own variables, or nothing with `--clear-env`; the account
/// of `--user`; then every change in the order given. `expand` replaces the templates in the values of `--env`.
///
/// # Errors
/// A file or directory that cannot be read or is not well formed.
pub fn build_environment(
    spec: &ProcessSpec,
    inherited: impl Iterator<Item = (OsString, OsString)>,
    expand: impl Fn(&OsStr) -> OsString,
) -> Result<Vec<(OsString, OsString)>, Error> {
    let inherited = inherited.filter(|(name, _)| !spec.clear_env && !is_own(name));
    let mut env = Environment(inherited.collect());
    if let Some(account) = spec.identity.as_ref().and_then(|identity| identity.account.as_ref()) {
        env.log_in(account);
    }
    for change in &spec.env {
        match change {
            EnvChange::Set(name, value) => env.set(name.clone(), expand(value)),
            EnvChange::Unset(name) => env.unset(name),
            EnvChange::File(path) => env.read_file(path)?,
            EnvChange::Dir(path) => env.read_dir(path)?,
        }
    }
    Ok(env.0)
}

/// PATH as a copy gets it, when endless has `inherited`.
///
/// # Errors
/// As for [`build_environment`].
pub fn path_of(spec: &ProcessSpec, inherited: &[(OsString, OsString)]) -> Result<Option<OsString>, Error> {
    let path = |env: &[(OsString, OsString)]| env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone());
    if spec.env.is_empty() && !spec.clear_env {
        return Ok(path(inherited));
    }
    build_environment(spec, inherited.iter().cloned(), OsStr::to_owned).map(|env| path(&env))
}

fn is_own(name: &OsStr) -> bool {
    let numbered = |start: &[u8]| {
        let number = name.as_bytes().strip_prefix(start);
        number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
    };
    OWN.iter().any(|own| name == *own) || numbered(b"EINHORN_FD_") || numbered(b"PUMA_INHERIT_")
}

/// Variables in the order they were first set.
struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    fn set(&mut self, name: OsString, value: OsString) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    fn unset(&mut self, name: &OsStr) {
        self.0.retain(|(known, _)| known != name);
    }

    fn log_in(&mut self, account: &Account) {
        self.set("USER".into(), account.name.clone().into());
        self.set("LOGNAME".into(), account.name.clone().into());
        self.set("HOME".into(), account.home.clone().into());
        self.set("SHELL".into(), account.shell.clone().into());
    }

    fn read_file(&mut self, path: &Path) -> Result<(), Error> {
        let fail = |reason: String, hint: &str| Fault::new(reason, hint).at("--env-file", path.to_string_lossy());
        let text = read_file(path)
            .map_err(|error| fail(format!("it cannot be read: {error}"), "a readable file of NAME=VALUE lines"))?;
        let lines = dotenv::parse(&text).map_err(|error| {
            fail(
                format!("line {}: {}", error.line, error.reason),
                "NAME=VALUE, NAME='VALUE' or NAME=\"VALUE\"; # begins a comment",
            )
        })?;
        lines.into_iter().for_each(|(name, value)| self.set(name, value));
        Ok(())
    }

    /// As envdir does: the first line of each file, blanks at its end cut off, a NUL in it standing for a line end; an
    /// empty file takes the variable away.
    fn read_dir(&mut self, path: &Path) -> Result<(), Error> {
        let fail = |reason: String, hint: &str| Fault::new(reason, hint).at("--env-dir", path.to_string_lossy());
        let listing = std::fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let mut files = listing.map_err(|error| {
            fail(format!("it cannot be read: {error}"), "a directory with a file for each variable")
        })?;
        files.sort_by_key(std::fs::DirEntry::file_name);
        for file in files {
            let name = file.file_name();
            if name.as_bytes().starts_with(b".") || file.path().is_dir() {
                continue;
            }
            if name.as_bytes().contains(&b'=') {
                let reason = format!("`{}` in it cannot be the name of a variable", name.display());
                return Err(fail(reason, "a file name without `=`"));
            }
            let text = read_file(&file.path()).map_err(|error| {
                fail(format!("{} in it cannot be read: {error}", name.display()), "make it readable, or take it away")
            })?;
            match first_line(text) {
                Some(value) => self.set(name, value),
                None => self.unset(&name),
            }
        }
        Ok(())
    }
}

/// None for an empty file.
fn first_line(mut text: Vec<u8>) -> Option<OsString> {
    if text.is_empty() {
        return None;
    }
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    let kept = text[..end].iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r')).map_or(0, |last| last + 1);
    text.truncate(kept);
    text.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b'\n');
    Some(OsString::from_vec(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(spec: &ProcessSpec, inherited: &[(&str, &str)]) -> Vec<(String, String)> {
        let inherited = inherited.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let built =
            build_environment(spec, inherited, |value| OsString::from(value.to_string_lossy().replace("{fd}", "3")));
        let text = |part: OsString| part.into_string().unwrap();
        built.unwrap().into_iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn endless_keeps_its_own_variables_and_no_others() {
        let inherited =
            [("A", "1"), ("LISTEN_FDS", "1"), ("LISTEN_ADDR", ":80"), ("NOTIFY_SOCKET", "/x"), ("ENDLESS_PID", "7")];
        assert_eq!(build(&ProcessSpec::default(), &inherited), pairs(&[("A", "1"), ("LISTEN_ADDR", ":80")]));
    }

    #[test]
    fn changes_apply_in_the_order_given() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".env");
        std::fs::write(&file, "A=file\nexport B='two words'\n").unwrap();
        for (name, text) in [("C", "first \nsecond"), ("D", ""), ("E", "\n"), ("F", "a\0b")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let env = vec![
            EnvChange::Set("A".into(), "set {fd}".into()),
            EnvChange::Set("D".into(), "here".into()),
            EnvChange::File(file),
            EnvChange::Dir(dir.path().into()),
            EnvChange::Unset("B".into()),
            EnvChange::Set("G".into(), "{fd}".into()),
        ];
        let spec = ProcessSpec { env, clear_env: true, ..ProcessSpec::default() };
        let expected = [("A", "file"), ("C", "first"), ("E", ""), ("F", "a\nb"), ("G", "3")];
        assert_eq!(build(&spec, &[("Z", "gone")]), pairs(&expected));
    }

    #[test]
    fn the_account_is_set_and_can_be_changed() {
        let account = Account { name: "web".into(), home: "/srv".into(), shell: "/bin/sh".into() };
        let identity = super::super::Identity { uid: 7, gid: 7, groups: vec![], account: Some(account) };
        let env = vec![EnvChange::Set("HOME".into(), "/tmp".into())];
        let spec = ProcessSpec { identity: Some(identity), env, ..ProcessSpec::default() };
        let expected = [("USER", "web"), ("HOME", "/tmp"), ("LOGNAME", "web"), ("SHELL", "/bin/sh")];
        assert_eq!(build(&spec, &[("USER", "root"), ("HOME", "/root")]), pairs(&expected));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let spec = ProcessSpec { env: vec![EnvChange::File("/nowhere/.env".into())], ..ProcessSpec::default() };
        let error = build_environment(&spec, std::iter::empty(), OsStr::to_owned).unwrap_err();
        assert!(error.to_string().starts_with("--env-file /nowhere/.env: it cannot be read: No such file"), "{error}");
    }
}
