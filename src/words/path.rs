//! How a path is written down: as text where it is text, else byte by byte. For `#[serde(with = "words::path")]`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(PathBuf),
    Bytes(Vec<u8>),
}

impl From<Written> for PathBuf {
    fn from(written: Written) -> PathBuf {
        match written {
            Written::Text(path) => path,
            Written::Bytes(bytes) => OsString::from_vec(bytes).into(),
        }
    }
}

/// Writes it.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => text.serialize(serializer),
        None => path.as_os_str().as_bytes().serialize(serializer),
    }
}

/// Reads it.
///
/// # Errors
/// The deserializer's.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Written::deserialize(deserializer).map(PathBuf::from)
}

/// The same for a path that may be missing.
pub mod optional {
    use super::{Deserialize, Deserializer, Path, PathBuf, Serialize, Serializer, Written};

    struct Present<'a>(&'a Path);

    impl Serialize for Present<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            super::serialize(self.0, serializer)
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(Present).serialize(serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<Written>::deserialize(deserializer)?.map(PathBuf::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Paths {
        #[serde(with = "super")]
        one: PathBuf,
        #[serde(with = "optional")]
        other: Option<PathBuf>,
    }

    #[test]
    fn every_path_comes_back_and_text_stays_text() {
        let odd = || PathBuf::from(OsString::from_vec(b"/run/\xff".to_vec()));
        for (one, other) in [("/run/a".into(), None), (odd(), Some(odd())), (odd(), Some("é".into()))] {
            let paths = Paths { one, other };
            let text = serde_json::to_string(&paths).unwrap();
            assert_eq!(serde_json::from_str::<Paths>(&text).unwrap(), paths, "{text}");
        }
        let paths = Paths { one: "/a".into(), other: Some("/b".into()) };
        assert_eq!(serde_json::to_string(&paths).unwrap(), r#"{"one":"/a","other":"/b"}"#);
    }
}
