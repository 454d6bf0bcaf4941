//! The only `unsafe`: system calls nix has no safe face for. Each function here has one.

pub mod socket;
