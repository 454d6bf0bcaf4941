//! Users and groups, by name or number (passwd(5), group(5)).

use super::error::{Error, Fault};
use super::process::{Account, Identity};
use crate::cli::ProcessArgs;
use crate::sys::names;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgrouplist, getgroups};
use std::ffi::CString;

/// The user's number. A number need not have an entry.
pub(super) fn user_id(text: &str) -> Result<u32, Fault> {
    number(text).map_or_else(|| user(text).map(|user| user.uid.as_raw()), Ok)
}

/// The group's number. A number need not have an entry.
pub(super) fn group_id(text: &str) -> Result<u32, Fault> {
    if let Some(number) = number(text) {
        return Ok(number);
    }
    names::prepare();
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(Fault::new(format!("there is no group `{text}`"), "a name of /etc/group, or a number")),
        Err(error) => {
            Err(Fault::new(format!("the group `{text}` cannot be looked up: {}", error.desc()), "its number"))
        }
    }
}

/// `--user`, `--group` and `--supplementary`. None when the target runs as endless does.
pub(super) fn read(args: &ProcessArgs) -> Result<Option<Identity>, Error> {
    if args.user.is_none() && args.group.is_none() && args.supplementary.is_none() {
        return Ok(None);
    }
    let group =
        args.group.as_deref().map(|text| group_id(text).map_err(|fault| fault.at("--group", text))).transpose()?;
    let supplementary = args
        .supplementary
        .as_deref()
        .map(|text| groups(text).map_err(|fault| fault.at("--supplementary", text)))
        .transpose()?;
    let Some(text) = args.user.as_deref() else {
        let gid = group.unwrap_or_else(|| getegid().as_raw());
        let groups = supplementary.unwrap_or_else(own_groups);
        return Ok(Some(Identity { uid: geteuid().as_raw(), gid, groups, account: None }));
    };
    of_user(text, group, supplementary).map(Some).map_err(|fault| fault.at("--user", text))
}

fn of_user(text: &str, group: Option<u32>, supplementary: Option<Vec<u32>>) -> Result<Identity, Fault> {
    let entry = match number(text) {
        Some(uid) => {
            names::prepare();
            User::from_uid(Uid::from_raw(uid)).ok().flatten()
        }
        None => Some(user(text)?),
    };
    let Some(user) = entry else {
        let uid = user_id(text)?;
        let gid = group.ok_or_else(|| {
            let reason = format!("the user {uid} has no entry in /etc/passwd, so its group is not known");
            Fault::new(reason, "give the group too: --group GROUP")
        })?;
        return Ok(Identity { uid, gid, groups: supplementary.unwrap_or_else(|| vec![gid]), account: None });
    };
    let gid = group.unwrap_or(user.gid.as_raw());
    let groups = supplementary.unwrap_or_else(|| groups_of(&user.name, gid));
    let account = Account { name: user.name, home: user.dir, shell: user.shell };
    Ok(Identity { uid: user.uid.as_raw(), gid, groups, account: Some(account) })
}

/// The target's supplementary groups: `none`, or a list.
fn groups(text: &str) -> Result<Vec<u32>, Fault> {
    if text == "none" {
        return Ok(Vec::new());
    }
    text.split(',').map(group_id).collect()
}

fn groups_of(name: &str, gid: u32) -> Vec<u32> {
    let all = CString::new(name).ok().and_then(|name| getgrouplist(&name, Gid::from_raw(gid)).ok());
    all.map_or_else(|| vec![gid], |all| all.into_iter().map(Gid::as_raw).collect())
}

fn own_groups() -> Vec<u32> {
    getgroups().map(|all| all.into_iter().map(Gid::as_raw).collect()).unwrap_or_default()
}

/// A plain number; (uid_t)-1 means "unchanged" to the kernel and is none (setuid(2)).
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number != u32::MAX)
}

fn user(name: &str) -> Result<User, Fault> {
    names::prepare();
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(Fault::new(format!("there is no user `{name}`"), "a name of /etc/passwd, or a number")),
        Err(error) => Err(Fault::new(format!("the user `{name}` cannot be looked up: {}", error.desc()), "its number")),
    }
}
