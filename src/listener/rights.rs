//! Mode and owner of a Unix path that copies bind: they go on from one socket to the next.

use super::unix_name::Inode;
use super::unix_path::UnixPath;
use crate::plan::SocketOptions;
use crate::words::GenerationId;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown};

/// Which of the rights of a path are asked for.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Rights {
    pub(super) mode: bool,
    pub(super) user: bool,
    pub(super) group: bool,
}

impl UnixPath {
    /// A copy of this generation has bound the path by itself. What the listener's options ask for holds all the same.
    pub(super) fn note_bound(&mut self, owner: GenerationId, options: &SocketOptions) {
        self.asked =
            Rights { mode: options.mode.is_some(), user: options.user.is_some(), group: options.group.is_some() };
        self.seats.iter_mut().filter(|seat| seat.owner == owner).for_each(|seat| seat.claimed = true);
    }

    /// What the newest copy did to the mode and the owner of the path hit the socket it led to. So they go on from one
    /// socket to the next.
    pub(super) fn take_rights(&self, to: GenerationId) {
        let Some(seat) = self.find(to).filter(|seat| self.captured || seat.claimed) else { return };
        let Some(private) = &seat.named.private else { return };
        let Ok(now) = fs::symlink_metadata(&self.public) else { return };
        let led_to = Inode::at(&self.public);
        if now.file_type().is_socket() && led_to != Some(seat.named.inode) && self.seat_of(led_to).is_some() {
            // Who may not give it away leaves it as it is.
            let Rights { mode, user, group } = self.asked;
            lchown(private, (!user).then_some(now.uid()), (!group).then_some(now.gid())).ok();
            if !mode {
                fs::set_permissions(private, now.permissions()).ok();
            }
        }
    }
}
