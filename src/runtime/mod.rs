//! The loop.
pub mod clock;
pub mod notify;
pub mod pid_file;
pub mod signals;
