//! Links the release binary statically where the toolchain can: it starts in two thirds of the time and runs on any distribution.
//!
//! `+crt-static` cannot be used for this: it needs `--target`, because procedural macros cannot be linked so, and with it the
//! binary would not be where everybody looks for it. Rust asks the linker for the C library's shared form by name; the
//! search path set here finds, under the same names, small linker scripts that stand for the static archives.
//! `ENDLESS_DYNAMIC=1 cargo build --release` leaves everything as usual.

#![allow(clippy::disallowed_methods, reason = "a build script is a program of its own")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What Rust's standard library links on Linux with glibc, beside libgcc.
const ARCHIVES: [&str; 6] = ["libc.a", "libm.a", "libdl.a", "librt.a", "libutil.a", "libpthread.a"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=ENDLESS_DYNAMIC");
    println!("cargo:rustc-check-cfg=cfg(endless_static)");
    if wanted()
        && let Some(folder) = prepare()
    {
        // For the binary alone: with the search path for all, tests and examples would get archives into a dynamic program.
        println!("cargo:rustc-link-arg-bins=-static");
        // Where it is loaded is fixed, as with programs of Go: else it would begin by writing 3800 addresses into itself.
        println!("cargo:rustc-link-arg-bins=-no-pie");
        // What differs in a static program: src/sys/names.rs.
        println!("cargo:rustc-cfg=endless_static");
        println!("cargo:rustc-link-arg-bins=-L{}", folder.display());
    }
}

/// Only a release build for this very machine's kind, and only for glibc.
fn wanted() -> bool {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let native = env::var("HOST").is_ok_and(|host| is("TARGET", &host));
    native && is("PROFILE", "release") && is("CARGO_CFG_TARGET_ENV", "gnu") && env::var_os("ENDLESS_DYNAMIC").is_none()
}

/// Writes the linker scripts. None when an archive is missing: then the binary is linked as usual.
fn prepare() -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("OUT_DIR")?);
    find("crt1.o")?;
    find("libgcc_eh.a")?;
    fs::write(folder.join("libgcc_s.a"), "INPUT(-lgcc_eh -lgcc)\n").ok()?;
    for name in ARCHIVES {
        fs::write(folder.join(name), format!("INPUT({})\n", find(name)?.display())).ok()?;
    }
    Some(folder)
}

/// Where the C compiler has a file of the C library; it answers the bare name when it has none.
fn find(name: &str) -> Option<PathBuf> {
    let answer = Command::new("cc").arg(format!("-print-file-name={name}")).output().ok()?;
    let path = PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim());
    (path.is_absolute() && Path::new(&path).exists()).then_some(path)
}
