//! Giving memory back that is not needed while nothing happens.

use nix::libc;
use std::ffi::c_void;

/// Gives back the pages of our own program file that are in memory and unchanged: code and constants.
///
/// It is a hint: what is needed again comes back from the file (MADV_DONTNEED, madvise(2)). Only segments that were
/// never writable are touched; what the dynamic linker relocated and then protected (RELRO) lies in writable ones. Text
/// relocations would be lost, and no linker makes them for this program: position-independent code has none.
pub fn release_code_pages() {
    // SAFETY: the callback has the type asked for, takes no data, and is called before this returns.
    unsafe { libc::dl_iterate_phdr(Some(release_segments), std::ptr::null_mut()) };
}

/// Called for the program itself first; a non-zero answer ends the walk before the libraries (dl_iterate_phdr(3)).
unsafe extern "C" fn release_segments(info: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> libc::c_int {
    // SAFETY: the loader gives a valid object, and `dlpi_phnum` headers at `dlpi_phdr`, for the time of this call.
    let (base, headers) = unsafe {
        let info = &*info;
        (info.dlpi_addr, std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)))
    };
    // SAFETY: sysconf takes a number.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let start = (base + header.p_vaddr).next_multiple_of(page);
        let end = (base + header.p_vaddr + header.p_memsz) / page * page;
        let (Ok(address), Ok(length)) = (usize::try_from(start), usize::try_from(end.saturating_sub(start))) else {
            continue;
        };
        // SAFETY: whole pages inside a segment the loader has mapped from the file, never writable, hence unchanged:
        // the next access reads the same bytes from the file.
        unsafe { libc::madvise(std::ptr::without_provenance_mut(address), length, libc::MADV_DONTNEED) };
    }
    1
}
