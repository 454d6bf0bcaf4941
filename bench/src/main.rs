//! What a user of endless would notice, measured: see README.md beside this package.

mod client;
mod figures;
mod launcher;
mod load;
mod measure;
mod system;

use figures::{Row, table};
use launcher::Tools;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, thread};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

const USAGE: &str = "\
bench/run [--quick] [--md] [--only NAME[,NAME]...]

  --quick     fewer repetitions: at most a minute
  --md        write the table into bench/README.md as well
  --only      some of: lost, latency, launch, idle, scale, storm

Exit status: 0 all targets reached, 1 some figures missed theirs, 2 wrong use, 3 something did not work at all, 4 a
promise was broken: a request was lost, or a storm of signals left something behind.";

/// Nothing may take longer than this, whatever goes wrong.
const LIMIT: Duration = Duration::from_secs(600);

struct Options {
    quick: bool,
    markdown: bool,
    only: Option<Vec<String>>,
}

fn main() -> ExitCode {
    let options = match options(env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    system::prepare();
    thread::spawn(give_up);
    match tools().and_then(|tools| run(&tools, &options)) {
        Ok(verdict) => ExitCode::from(verdict as u8),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(3)
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options { quick: false, markdown: false, only: None };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--md" => options.markdown = true,
            "--only" => {
                let names = arguments.next().ok_or("--only needs names")?;
                options.only = Some(names.split(',').map(str::to_owned).collect());
            }
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(options)
}

/// Finds the programs by the environment bench/run sets.
fn tools() -> Result<Tools> {
    let path = |name: &str| -> Result<PathBuf> {
        let path =
            PathBuf::from(env::var_os(name).ok_or_else(|| format!("{name} is not set: start this by bench/run"))?);
        path.canonicalize().map_err(|error| format!("{name}={}: {error}", path.display()).into())
    };
    let search = env::var_os("PATH").unwrap_or_default();
    let starter = env::split_paths(&search).map(|directory| directory.join("start_server")).find(|path| path.is_file());
    let directory = env::temp_dir().join(format!("endless-bench-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    Ok(Tools {
        endless: path("ENDLESS_BIN")?,
        simple_server: path("SIMPLE_SERVER")?,
        target: path("BENCH_TARGET")?,
        starter,
        directory,
    })
}

/// What the rows say, as an exit status.
#[derive(Clone, Copy)]
enum Verdict {
    Reached = 0,
    Missed = 1,
    Broken = 4,
}

fn run(tools: &Tools, options: &Options) -> Result<Verdict> {
    let mut rows = Vec::new();
    let mut failed = false;
    for name in ["launch", "latency", "idle", "scale", "storm", "lost"] {
        if options.only.as_ref().is_some_and(|only| !only.iter().any(|wanted| wanted == name)) {
            continue;
        }
        let begun = system::now();
        let measured = measure(name, tools, options.quick);
        eprintln!("measured {name} in {} s", (system::now() - begun) / 1_000_000_000);
        match measured {
            Ok(more) => rows.extend(more),
            Err(error) => {
                failed = true;
                eprintln!("error: {name}: {error}");
                rows.push(Row::new(name).endless("did not work: see the messages").target("–", false));
            }
        }
    }
    let text = format!("{}\n\n{}", machine(options.quick), table(&rows));
    println!("{text}");
    if options.markdown {
        write_into(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")), &text)?;
    }
    if failed {
        return Err(format!("logs are in {}", tools.directory.display()).into());
    }
    fs::remove_dir_all(&tools.directory)?;
    Ok(match rows.iter().find(|row| row.reached == Some(false)) {
        _ if rows.iter().any(Row::broken) => Verdict::Broken,
        Some(_) => Verdict::Missed,
        None => Verdict::Reached,
    })
}

fn measure(name: &str, tools: &Tools, quick: bool) -> Result<Vec<Row>> {
    let pick = |full: usize, little: usize| if quick { little } else { full };
    match name {
        "launch" => Ok(vec![measure::launch::measure(tools, pick(200, 50), pick(20, 5))?]),
        "latency" => measure::latency::measure(tools, pick(50, 15), pick(20, 4)),
        "idle" => measure::idle::measure(tools, Duration::from_secs(pick(10, 3) as u64)),
        "scale" => measure::scale::measure(tools, pick(5, 1)),
        "storm" => measure::storm::measure(tools),
        _ => measure::lost::measure(tools, pick(100, 15), pick(60, 5)),
    }
}

/// On what, in one line.
fn machine(quick: bool) -> String {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let quick = if quick { ", --quick" } else { "" };
    format!(
        "Linux {}, {processors} processors{quick}; medians, in milliseconds where nothing else is said.",
        kernel.trim()
    )
}

/// Puts the text between the two marks in the file.
fn write_into(file: &Path, text: &str) -> Result<()> {
    let page = fs::read_to_string(file)?;
    let (before, rest) = page.split_once("<!-- table -->").ok_or("README.md has no <!-- table -->")?;
    let (_, after) = rest.split_once("<!-- end -->").ok_or("README.md has no <!-- end -->")?;
    fs::write(file, format!("{before}<!-- table -->\n{text}\n<!-- end -->{after}"))?;
    Ok(())
}

/// Ends everything when the time is up: what we started, and ourselves.
fn give_up() {
    thread::sleep(LIMIT);
    eprintln!("error: not done after {} s", LIMIT.as_secs());
    for pid in system::descendants(std::process::id()) {
        system::kill(pid, libc::SIGKILL);
    }
    std::process::exit(3);
}
