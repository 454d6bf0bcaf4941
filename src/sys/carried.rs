//! Descriptors that outlive the program: endless executes a newer endless in its place and hands them over by number.
//!
//! Writing a state notes the number of each descriptor in it. Right before execve(2) close-on-exec comes off those; the new
//! program claims each of them once, as it reads the state. What it does not claim is closed.
//!
//! A state is a memfd: a line of numbers, then whatever was written.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Names the descriptor of the state to the new program.
pub const VARIABLE: &str = "ENDLESS_UPGRADE";

/// 0, 1 and 2 stay open by themselves and belong to everybody.
const FIRST: RawFd = 3;

thread_local! {
    static NOTED: RefCell<Vec<RawFd>> = const { RefCell::new(Vec::new()) };
    static CLAIMS: RefCell<Claims> = const { RefCell::new(Claims::None) };
}

/// What may be claimed.
enum Claims {
    None,
    /// These, each once.
    Left(HashSet<RawFd>),
    /// Nothing: every descriptor that is read becomes one of the state itself, and every path an empty one.
    Rehearsed(OwnedFd),
}

/// Notes the number of a descriptor that nobody owns.
pub fn note(number: RawFd) {
    NOTED.with_borrow_mut(|noted| noted.push(number));
}

/// Notes a descriptor and writes its number: for `#[serde(with = "carried")]`.
///
/// # Errors
/// The serializer's.
pub fn serialize<F: AsFd, S: Serializer>(fd: &F, serializer: S) -> Result<S::Ok, S::Error> {
    note(fd.as_fd().as_raw_fd());
    serializer.serialize_i32(fd.as_fd().as_raw_fd())
}

/// Reads a number and claims it.
///
/// # Errors
/// When it is not there to be claimed.
pub fn deserialize<'de, F: From<OwnedFd>, D: Deserializer<'de>>(deserializer: D) -> Result<F, D::Error> {
    let number = RawFd::deserialize(deserializer)?;
    let claimed = CLAIMS.with_borrow_mut(|claims| match claims {
        Claims::None => None,
        Claims::Left(left) => left.remove(&number).then(|| claim(number)),
        Claims::Rehearsed(state) => state.try_clone().ok(),
    });
    claimed.map(F::from).ok_or_else(|| D::Error::custom(format!("descriptor {number} was not handed over")))
}

fn claim(number: RawFd) -> OwnedFd {
    set_close_on_exec(number, true);
    // SAFETY: it was open before anything of this program ran, and it has just been struck off the list of those, so this
    // is its only owner.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Leaves a number that was noted open without an owner, close-on-exec.
pub fn leave(number: RawFd) {
    let known = CLAIMS.with_borrow_mut(|claims| match claims {
        Claims::Left(left) => left.remove(&number),
        _ => false,
    });
    if known {
        set_close_on_exec(number, true);
    }
}

fn set_close_on_exec(number: RawFd, on: bool) {
    // SAFETY: F_SETFD takes a number and changes only what happens at exec.
    unsafe { libc::fcntl(number, libc::F_SETFD, if on { libc::FD_CLOEXEC } else { 0 }) };
}

/// A descriptor inside something that is written or read.
#[derive(Debug)]
pub struct Kept<F>(pub F);

impl<F: AsFd> Serialize for Kept<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de, F: From<OwnedFd>> Deserialize<'de> for Kept<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Kept)
    }
}

impl<F> Deref for Kept<F> {
    type Target = F;
    fn deref(&self) -> &F {
        &self.0
    }
}

impl<F> DerefMut for Kept<F> {
    fn deref_mut(&mut self) -> &mut F {
        &mut self.0
    }
}

impl<F: AsFd> AsFd for Kept<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A path whose owner removes it when it goes: whoever only rehearses must not.
pub mod own_path {
    use super::{CLAIMS, Claims, Deserializer, PathBuf, Serializer};
    use crate::words::path;
    use std::path::Path;

    /// Writes it.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path::serialize(path, serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        let path = path::deserialize(deserializer)?;
        let rehearsed = CLAIMS.with_borrow(|claims| matches!(claims, Claims::Rehearsed(_)));
        Ok(if rehearsed { PathBuf::new() } else { path })
    }
}

/// A state that was written, and the descriptors in it.
#[derive(Debug)]
pub struct Written {
    /// The memfd.
    pub state: OwnedFd,
    noted: Vec<RawFd>,
}

/// Writes a state. `write` makes its text, and notes descriptors meanwhile.
///
/// # Errors
/// That of `write`, and those of memfd_create(2) and write(2).
pub fn write(write: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<Written> {
    NOTED.with_borrow_mut(Vec::clear);
    let text = write();
    let noted = NOTED.take();
    let text = text?;
    let mut file = File::from(memfd_create("endless", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
    let numbers: Vec<String> = noted.iter().map(RawFd::to_string).collect();
    file.write_all(format!("{}\n", numbers.join(" ")).as_bytes())?;
    file.write_all(&text)?;
    file.rewind()?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SEALS))?;
    Ok(Written { state: file.into(), noted })
}

const SEALS: SealFlag = SealFlag::F_SEAL_WRITE.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SHRINK);

impl Written {
    /// Takes close-on-exec off all of them. When what comes back is dropped, it is put on again.
    #[must_use]
    pub fn open_across_exec(&self) -> OpenAcrossExec<'_> {
        let all = self.noted.iter().copied().chain([self.state.as_raw_fd()]).filter(|number| *number >= FIRST);
        all.for_each(|number| set_close_on_exec(number, false));
        OpenAcrossExec(self)
    }
}

/// Descriptors that stay open when the program is replaced.
#[derive(Debug)]
pub struct OpenAcrossExec<'a>(&'a Written);

impl Drop for OpenAcrossExec<'_> {
    fn drop(&mut self) {
        let all = self.0.noted.iter().copied().filter(|number| *number >= FIRST);
        all.for_each(|number| set_close_on_exec(number, true));
    }
}

/// What the program before this one has left, where there is one: the text of its state. To be called once, before
/// anything else is opened. Costs a look at the environment.
///
/// # Errors
/// When what the variable names is no state.
pub fn arrive() -> Option<io::Result<Vec<u8>>> {
    static ARRIVED: AtomicBool = AtomicBool::new(false);
    let number = std::env::var(VARIABLE).ok()?;
    if ARRIVED.swap(true, Ordering::Relaxed) {
        return None;
    }
    #[allow(clippy::disallowed_methods, reason = "it is a word between two programs, and no copy is to see it")]
    // SAFETY: endless has one thread, and nobody holds on to what getenv(3) has returned.
    unsafe {
        std::env::remove_var(VARIABLE)
    };
    Some(read(number.parse().unwrap_or(-1)).map(|(_, numbers, text)| {
        CLAIMS.set(Claims::Left(numbers));
        text
    }))
}

/// The same in a program that is only asked whether it could take the state over: it claims nothing.
///
/// # Errors
/// When the descriptor is no state.
pub fn rehearse(number: RawFd) -> io::Result<Vec<u8>> {
    let (state, _, text) = read(number)?;
    CLAIMS.set(Claims::Rehearsed(state));
    Ok(text)
}

/// Reads a state. That it is sealed shows that it is one, and nothing else that happens to be open there.
fn read(number: RawFd) -> io::Result<(OwnedFd, HashSet<RawFd>, Vec<u8>)> {
    // SAFETY: F_GET_SEALS takes a number.
    let seals = unsafe { libc::fcntl(number, libc::F_GET_SEALS) };
    if number < FIRST || seals == -1 || !SealFlag::from_bits_truncate(seals).contains(SEALS) {
        return Err(Errno::EBADF.into());
    }
    // SAFETY: it is open, and was before this program opened anything: nothing else of it owns it.
    let state = unsafe { OwnedFd::from_raw_fd(number) };
    set_close_on_exec(number, true);
    let mut file = File::from(state);
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let end = text.iter().position(|byte| *byte == b'\n').ok_or(io::ErrorKind::InvalidData)?;
    let rest = text.split_off(end + 1);
    let numbers = String::from_utf8_lossy(&text);
    let numbers = numbers.split_whitespace().filter_map(|number| number.parse().ok());
    let numbers = numbers.filter(|one| *one >= FIRST && *one != number).collect();
    Ok((file.into(), numbers, rest))
}

/// Everything was read: what nobody has claimed is closed.
pub fn finish() {
    if let Claims::Left(left) = CLAIMS.replace(Claims::None) {
        // Each is claimed by nobody but this list.
        left.into_iter().map(claim).for_each(drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    /// Something that removes its path when it goes.
    #[derive(Serialize, Deserialize)]
    struct Owner {
        #[serde(with = "super")]
        file: File,
        #[serde(with = "own_path")]
        path: PathBuf,
        list: Vec<Kept<OwnedFd>>,
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    fn write_down(owner: &Owner) -> Written {
        write(|| Ok(serde_json::to_vec(owner)?)).unwrap()
    }

    #[test]
    fn whoever_rehearses_has_nothing_and_removes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = File::create(&path).unwrap();
        let list = vec![Kept(file.try_clone().unwrap().into())];
        let owner = Owner { file, path: path.clone(), list };
        let written = write_down(&owner);
        assert_eq!(written.noted, [owner.file.as_raw_fd(), owner.list[0].as_raw_fd()]);
        let state = std::mem::ManuallyDrop::new(written.state.try_clone().unwrap());
        let text = rehearse(state.as_raw_fd()).unwrap();
        let copy: Owner = serde_json::from_slice(&text).unwrap();
        assert_ne!(copy.file.as_raw_fd(), owner.file.as_raw_fd());
        // One that breaks off in the middle drops what was read until then.
        assert!(serde_json::from_slice::<(Owner, u8)>(&[b"[", &text[..], b",\"\"]"].concat()).is_err());
        drop(copy);
        assert!(path.exists());
        CLAIMS.set(Claims::None);
        assert!(serde_json::from_slice::<Owner>(&text).is_err(), "nothing can be claimed without a state");
    }

    #[test]
    fn a_descriptor_is_claimed_once() {
        let number = File::open("/dev/null").unwrap().into_raw_fd();
        let (mut read, write) = io::pipe().unwrap();
        let other = write.into_raw_fd();
        CLAIMS.set(Claims::Left(HashSet::from([number, other])));
        let text = number.to_string();
        let first: Kept<File> = serde_json::from_str(&text).unwrap();
        assert_eq!(first.as_raw_fd(), number);
        assert!(serde_json::from_str::<Kept<File>>(&text).is_err());
        finish();
        assert_eq!(read.read(&mut [0]).unwrap(), 0, "what nobody has claimed is closed");
    }

    #[test]
    fn what_is_no_state_is_not_taken_for_one() {
        let file = File::open("/dev/null").unwrap();
        for number in [-1, 0, 1_000_000, file.as_raw_fd()] {
            assert!(rehearse(number).is_err());
        }
    }
}
