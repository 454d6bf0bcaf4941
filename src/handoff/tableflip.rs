//! The protocol `tableflip`, as programs of the Go library cloudflare/tableflip read it: descriptor 3 is a pipe on which the
//! program writes one byte when it is ready, 4 one that tells the names of the sockets from 5 on. The program takes the end
//! of descriptor 4 for the end of its predecessor, so endless keeps its own end open until that is gone.
//!
//! The names are a gob (encoding/gob of Go) of type `[][]string`; each is kind, network and address as the program gave them to
//! its `Listen`. So the addresses of `--listen` are written as the program writes them, and its network is `tcp`, not `tcp4`.

use super::{Variable, plain};
use crate::listener::{Bound, BoundAddress};
use crate::plan::UnixKind;
use std::borrow::Cow;

/// The byte that says ready.
pub const READY: u8 = 42;

/// TABLEFLIP_HAS_PARENT_7DIU3.
pub(super) fn variables() -> [Variable; 1] {
    [plain("TABLEFLIP_HAS_PARENT_7DIU3", "yes")]
}

/// What descriptor 4 tells.
#[must_use]
pub fn names(held: &[Bound]) -> Vec<u8> {
    let all: Vec<[Cow<'_, str>; 3]> = held.iter().map(name).collect();
    gob(&all)
}

fn name(held: &Bound) -> [Cow<'_, str>; 3] {
    let (kind, network) = match held.address {
        BoundAddress::Tcp(_) => ("listener", "tcp"),
        BoundAddress::Udp(_) => ("packet", "udp"),
        BoundAddress::Path { kind, .. } | BoundAddress::Abstract { kind, .. } => match kind {
            UnixKind::Stream => ("listener", "unix"),
            UnixKind::Seqpacket => ("listener", "unixpacket"),
            UnixKind::Datagram => ("packet", "unixgram"),
        },
        BoundAddress::Vsock(_) | BoundAddress::Other(_) => ("fd", ""),
    };
    [kind.into(), network.into(), held.written()]
}

/// The types the gob defines, numbered as Go would: the first ones a program may define.
const STRINGS: i64 = 65;
const LIST_OF_STRINGS: i64 = 66;
/// Go's own number of the type string.
const STRING: i64 = 6;

/// A gob of `[][]string`: the two types, the outer one first, then the value.
fn gob(names: &[[Cow<'_, str>; 3]]) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, &slice_type(LIST_OF_STRINGS, STRINGS));
    message(&mut out, &slice_type(STRINGS, STRING));
    let mut value = Vec::new();
    int(&mut value, LIST_OF_STRINGS);
    // A value that is no struct is preceded by a zero.
    value.push(0);
    uint(&mut value, names.len() as u64);
    for name in names {
        uint(&mut value, name.len() as u64);
        for part in name {
            uint(&mut value, part.len() as u64);
            value.extend_from_slice(part.as_bytes());
        }
    }
    message(&mut out, &value);
    out
}

/// The definition of a slice type: `wireType{SliceT: {CommonType{Id: id}, Elem: element}}`. Fields are told by how far each is
/// from the one before, the first from -1; a struct ends with a zero; a field of zero value is left out, as Name is here.
fn slice_type(id: i64, element: i64) -> Vec<u8> {
    let mut out = Vec::new();
    int(&mut out, -id);
    out.extend([2, 1, 2]);
    int(&mut out, id);
    out.extend([0, 1]);
    int(&mut out, element);
    out.extend([0, 0]);
    out
}

fn message(out: &mut Vec<u8>, content: &[u8]) {
    uint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// An unsigned number: below 128 it is one byte; else its bytes, the highest first, after their count, negated.
fn uint(out: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(small) if small < 128 => out.push(small),
        _ => {
            let bytes = number.to_be_bytes();
            let used = &bytes[number.leading_zeros() as usize / 8..];
            out.push(0u8.wrapping_sub(u8::try_from(used.len()).unwrap_or(8)));
            out.extend_from_slice(used);
        }
    }
}

/// A signed number: shifted left by one, with all bits turned over and the lowest set where it is negative.
fn int(out: &mut Vec<u8>, number: i64) {
    let shifted = number.cast_unsigned() << 1;
    uint(out, if number < 0 { !shifted } else { shifted });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go 1.19 prints:
    /// `gob.NewEncoder(&b).Encode([][]string{{"listener", "tcp", "localhost:4242"}}); fmt.Printf("%q", b.Bytes())`.
    #[test]
    fn the_gob_of_one_name() {
        let expected = [
            b"\x0d\xff\x83\x02\x01\x02\xff\x84\x00\x01\xff\x82\x00\x00".as_slice(),
            b"\x0c\xff\x81\x02\x01\x02\xff\x82\x00\x01\x0c\x00\x00",
            b"\x21\xff\x84\x00\x01\x03\x08listener\x03tcp\x0elocalhost:4242",
        ];
        assert_eq!(gob(&[["listener", "tcp", "localhost:4242"].map(Cow::from)]), expected.concat());
    }

    #[test]
    fn numbers_as_the_page_of_encoding_gob_shows_them() {
        let written = |write: fn(&mut Vec<u8>, u64), number| {
            let mut out = Vec::new();
            write(&mut out, number);
            out
        };
        assert_eq!(written(uint, 0), [0]);
        assert_eq!(written(uint, 7), [7]);
        assert_eq!(written(uint, 256), [0xfe, 1, 0]);
        let mut out = Vec::new();
        int(&mut out, -129);
        assert_eq!(out, [0xfe, 1, 1]);
    }
}
