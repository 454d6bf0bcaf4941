//! Pids, written down and read again.

use nix::unistd::Pid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes its number.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(pid: &Pid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i32(pid.as_raw())
}

/// Reads its number.
///
/// # Errors
/// The deserializer's.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pid, D::Error> {
    i32::deserialize(deserializer).map(Pid::from_raw)
}

/// One that may be missing.
#[allow(missing_docs, clippy::missing_errors_doc, reason = "as above")]
pub mod option {
    use super::{Deserialize, Deserializer, Pid, Serialize, Serializer};

    pub fn serialize<S: Serializer>(pid: &Option<Pid>, serializer: S) -> Result<S::Ok, S::Error> {
        pid.map(Pid::as_raw).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Pid>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(Pid::from_raw))
    }
}

/// Several.
pub(super) mod set {
    use super::{Deserialize, Deserializer, Pid, Serializer};
    use std::collections::HashSet;

    pub(in crate::spawn) fn serialize<S: Serializer>(pids: &HashSet<Pid>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(pids.iter().map(|pid| pid.as_raw()))
    }

    pub(in crate::spawn) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashSet<Pid>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().map(Pid::from_raw).collect())
    }
}
