//! Where a socket is open.

use serde::{Deserialize, Serialize};

/// A descriptor of some process that is a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSocket {
    /// The socket's inode: the number in `socket:[N]` (proc(5)), and in the answers of sock_diag(7).
    pub inode: u32,
    /// The process.
    pub pid: i32,
    /// The descriptor's number there.
    pub fd: i32,
}
