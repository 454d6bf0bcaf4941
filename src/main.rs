//! `endless`: parse, plan, bind, run. A table of contents.

use anyhow::{Context, Result};
use endless::cli::{self, Args, Invocation};
use endless::listener::{self, Listeners};
use endless::notice::{Level, Notice};
use endless::plan::{Plan, Surroundings, show};
use endless::report::{Pids, Reporter};
use endless::runtime::{Means, Runtime, pid_file::PidFile};
use endless::spawn::{self, Inherited};
use endless::words::{CODE_FAILURE, CODE_USAGE};
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let inherited = Inherited::capture();
    let code = match cli::parse(std::env::args_os()) {
        Ok(Invocation::Run(args)) => run(&args, inherited).unwrap_or_else(|error| complain(&error)),
        Ok(Invocation::Check(args)) => check(&args).unwrap_or_else(|error| complain(&error)),
        Ok(Invocation::Exec(command)) => exec(&command),
        Ok(Invocation::Print(text)) => {
            print!("{text}");
            0
        }
        Err(error) => {
            eprint!("{error}");
            CODE_USAGE
        }
    };
    ExitCode::from(code)
}
