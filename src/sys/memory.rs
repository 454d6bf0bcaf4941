//! The pages of our own program file: brought in together at the start, given back while nothing happens.

use nix::libc::{self, c_int};
use std::ffi::c_void;

/// What is to be done with segments, and the flags they must have for it.
struct Advice {
    advice: c_int,
    flags: u32,
}

/// Brings the pages of our own code in at once. Each that is met on the way to the first copy would be a fault of its own
/// otherwise, some thirty of them. Constants are met more seldom.
///
/// It is a hint (MADV_POPULATE_READ, madvise(2), Linux 5.14).
pub fn fetch_code_pages() {
    advise_on_segments(Advice { advice: libc::MADV_POPULATE_READ, flags: libc::PF_X });
}

/// Gives back the pages of our own program file that are in memory and unchanged: code and constants.
///
/// It is a hint: what is needed again comes back from the file (MADV_DONTNEED, madvise(2)). Only segments that were
/// never writable are touched; what the dynamic linker relocated and then protected (RELRO) lies in writable ones. Text
/// relocations would be lost, and no linker makes them for this program: position-independent code has none.
pub fn release_code_pages() {
    advise_on_segments(Advice { advice: libc::MADV_DONTNEED, flags: 0 });
}

fn advise_on_segments(mut advice: Advice) {
    // SAFETY: the callback has the type asked for and is called before this returns, with a pointer to what lives as long.
    unsafe { libc::dl_iterate_phdr(Some(advise), (&raw mut advice).cast()) };
}

/// Called for the program itself first; a non-zero answer ends the walk before the libraries (dl_iterate_phdr(3)).
unsafe extern "C" fn advise(info: *mut libc::dl_phdr_info, _: usize, advice: *mut c_void) -> c_int {
    // SAFETY: what `advise_on_segments` gave, which nobody changes.
    let Advice { advice, flags } = unsafe { &*advice.cast_const().cast() };
    // SAFETY: the loader gives a valid object, and `dlpi_phnum` headers at `dlpi_phdr`, for the time of this call.
    let (base, headers) = unsafe {
        let info = &*info;
        (info.dlpi_addr, std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
    };
    // SAFETY: sysconf takes a number.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 || header.p_flags & flags != *flags {
            continue;
        }
        let start = (base + header.p_vaddr).next_multiple_of(page);
        let end = (base + header.p_vaddr + header.p_memsz) / page * page;
        let (Ok(address), Ok(length)) = (usize::try_from(start), usize::try_from(end.saturating_sub(start))) else {
            continue;
        };
        // SAFETY: whole pages inside a segment the loader has mapped from the file, never writable, hence unchanged: after
        // either advice the next access reads the same bytes from the file.
        unsafe { libc::madvise(std::ptr::without_provenance_mut(address), length, *advice) };
    }
    1
}
