//! Servers that bind a Unix path beside the one they serve at and rename it when they listen.

use super::unix_name::Inode;
use super::unix_path::{Seat, UnixPath};
use std::fs;
use std::os::unix::fs::MetadataExt;

impl UnixPath {
    /// Whether a copy has bound its socket here and renamed it (rename(2)), by which the path it serves at has changed hands in
    /// one step. That is not to be undone, and the next copy does it as well.
    pub(super) fn is_renamed(&mut self) -> bool {
        let here = Inode::at(&self.public);
        let elsewhere = |seat: &Seat| {
            let links =
                seat.named.private.as_ref().and_then(|private| Some(fs::symlink_metadata(private).ok()?.nlink()));
            here != Some(seat.named.inode) && links.is_some_and(|links| links > 1)
        };
        self.renamed |= self.captured && self.seat_of(here).is_none() && self.seats.iter().any(elsewhere);
        self.renamed
    }
}
