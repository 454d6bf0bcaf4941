//! Looking up names of users, groups and hosts in a program that is linked statically.

#[cfg(endless_static)]
use std::ffi::{CStr, c_char, c_int};

/// What the C library looks up without a library of somebody else.
#[cfg(endless_static)]
const BUILT_IN: [(&CStr, &CStr); 4] =
    [(c"passwd", c"files"), (c"group", c"files"), (c"initgroups", c"files"), (c"hosts", c"files dns")];

#[cfg(endless_static)]
unsafe extern "C" {
    /// <nss.h>
    fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
}

/// To be called before a name is looked up. In a static program it keeps the C library from loading the other libraries that
/// /etc/nsswitch.conf names: those with thread-local variables, such as systemd's, crash there.
pub fn prepare() {
    #[cfg(endless_static)]
    for (database, services) in BUILT_IN {
        // SAFETY: both are strings that end with a zero and are never written to or freed; there is only this thread. When
        // it fails, for want of memory, everything is as it was.
        unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
    }
}
