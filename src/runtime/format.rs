//! Why the kernel cannot execute a file that is there: what stands at its beginning (execve(2), elf(5)).

use crate::notice::Format;
use nix::errno::Errno;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the kernel reads of a file to know how to execute it (BINPRM_BUF_SIZE).
const BEGINNING: u64 = 256;
const PT_INTERP: u64 = 3;

/// What is wrong with a file that execve(2) refused with this error number; None when it is not seen.
pub(super) fn wrong_with(file: &Path, errno: i32) -> Option<Format> {
    let missing = errno == Errno::ENOENT as i32;
    if !missing && errno != Errno::ENOEXEC as i32 {
        return None;
    }
    let (mut file, mut beginning) = (File::open(file).ok()?, Vec::new());
    (&mut file).take(BEGINNING).read_to_end(&mut beginning).ok()?;
    match &*beginning {
        [] => Some(Format::Empty),
        [b'#', b'!', rest @ ..] => missing.then(|| without_interpreter(rest)).flatten(),
        [0x7f, b'E', b'L', b'F', ..] if missing => {
            loader(&file, &beginning).filter(|one| absent(one)).map(Format::Loader)
        }
        [0x7f, b'E', b'L', b'F', ..] => Some(other_machine(&beginning).map_or(Format::Damaged, Format::Machine)),
        text if !missing && !text.contains(&0) => Some(Format::NoInterpreter),
        _ => None,
    }
}

/// The first line of a script, behind `#!`, names one that is not there.
fn without_interpreter(rest: &[u8]) -> Option<Format> {
    let line = rest.split(|byte| *byte == b'\n').next()?;
    let ends_as_windows = line.last() == Some(&b'\r');
    let mut words = line.split(|byte| b" \t\r".contains(byte)).filter(|word| !word.is_empty());
    let interpreter = String::from_utf8_lossy(words.next()?).into_owned();
    match (absent(&interpreter), ends_as_windows) {
        (true, _) => Some(Format::Interpreter(interpreter)),
        (false, true) => Some(Format::CarriageReturn(interpreter)),
        (false, false) => None,
    }
}

fn absent(path: &str) -> bool {
    !Path::new(path).exists()
}

/// The loader that an ELF program asks for.
fn loader(file: &File, beginning: &[u8]) -> Option<String> {
    let wide = *beginning.get(4)? == 2;
    let number = |bytes: &[u8], (at, length): (usize, usize)| {
        let part = bytes.get(at..at + length)?;
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if *beginning.get(5)? == 1 { part.iter().rev().fold(0, fold) } else { part.iter().fold(0, fold) })
    };
    let (table, size, count) = if wide { ((32, 8), (54, 2), (56, 2)) } else { ((28, 4), (42, 2), (44, 2)) };
    let (offset, length) = if wide { ((8, 8), (32, 8)) } else { ((4, 4), (16, 4)) };
    let (table, size) = (number(beginning, table)?, number(beginning, size)?);
    (0..number(beginning, count)?).find_map(|at| {
        let mut header = [0; 56];
        let header = header.get_mut(..usize::try_from(size).ok()?)?;
        file.read_exact_at(header, table.checked_add(at * size)?).ok()?;
        if number(header, (0, 4))? != PT_INTERP {
            return None;
        }
        let mut path = vec![0; usize::try_from(number(header, length)?).ok().filter(|length| *length < 4096)?];
        file.read_exact_at(&mut path, number(header, offset)?).ok()?;
        Some(String::from_utf8_lossy(&path).trim_end_matches('\0').to_owned())
    })
}

/// The processor an ELF program is for, if it is another than ours.
fn other_machine(beginning: &[u8]) -> Option<String> {
    let (order, machine) = (*beginning.get(5)?, [*beginning.get(18)?, *beginning.get(19)?]);
    let machine = if order == 1 { u16::from_le_bytes(machine) } else { u16::from_be_bytes(machine) };
    let name = match machine {
        3 => "x86",
        20 => "powerpc",
        21 => "powerpc64",
        22 => "s390x",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        258 => "loongarch64",
        _ => return Some(format!("machine {machine} (elf(5))")),
    };
    (name != std::env::consts::ARCH).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let wrong = |content: &[u8], errno: Errno| {
            let file = dir.path().join("file");
            std::fs::write(&file, content).unwrap();
            wrong_with(&file, errno as i32)
        };
        let (absent, unknown) = (Errno::ENOENT, Errno::ENOEXEC);
        assert_eq!(wrong(b"", unknown), Some(Format::Empty));
        assert_eq!(wrong(b"exec server\n", unknown), Some(Format::NoInterpreter));
        assert_eq!(wrong(b"\x01\0\x02", unknown), None);
        assert_eq!(wrong(b"#! /no/such -x\n", absent), Some(Format::Interpreter("/no/such".into())));
        assert_eq!(wrong(b"#!/no/such\r\n", absent), Some(Format::Interpreter("/no/such".into())));
        assert_eq!(wrong(b"#!/bin/sh\r\nexit\r\n", absent), Some(Format::CarriageReturn("/bin/sh".into())));
        assert_eq!(wrong(b"#!/bin/sh\n", absent), None);
        assert_eq!(wrong(b"#!/bin/sh\n", Errno::EACCES), None);
        let mut own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(wrong(&own, absent), None, "its loader is there");
        assert_eq!(wrong(&own, unknown), Some(Format::Damaged));
        let loader = loader(&File::open(dir.path().join("file")).unwrap(), &own[..256]).unwrap();
        let at = own.windows(loader.len()).position(|part| part == loader.as_bytes()).unwrap();
        own[at + 1] = b'_';
        assert_eq!(wrong(&own, absent), Some(Format::Loader(loader.replacen(&loader[1..2], "_", 1))));
        own[18..20].copy_from_slice(&22u16.to_le_bytes());
        assert_eq!(wrong(&own, unknown), Some(Format::Machine("s390x".into())));
        for length in 0..80 {
            assert_eq!(wrong(&own[..length], absent), (length == 0).then_some(Format::Empty));
        }
        assert_eq!(wrong_with(&dir.path().join("none"), absent as i32), None);
    }
}
