//! What a user of endless would notice, measured: see README.md beside this package.

mod client;
mod figures;
mod launcher;
mod load;
mod measure;
mod soak;
mod system;

use figures::{HEAD, Row, table};
use launcher::Tools;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, thread};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

const USAGE: &str = "\
bench/run [--quick] [--md] [--only NAME[,NAME]...]
bench/soak [--minutes N] [--seed N] [--md]

  --quick     fewer repetitions: at most a minute
  --md        write the table into bench/README.md as well
  --only      some of: lost, latency, launch, idle, scale, storm
  --minutes   how long the soak lasts; 30 by default
  --seed      what happens in it; by default what the clock says

Exit status: 0 all targets reached, 1 some figures missed theirs, 2 wrong use, 3 something did not work at all, 4 a
promise was broken: a request was lost, or a storm of signals or the soak left something behind.";

/// Nothing may take longer than this, whatever goes wrong; the soak this much longer than it is to last.
const LIMIT: Duration = Duration::from_secs(600);

struct Options {
    quick: bool,
    markdown: bool,
    only: Option<Vec<String>>,
    /// Minutes of the soak, if that is what is wanted.
    soak: Option<u64>,
    seed: u64,
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
    let limit = LIMIT + Duration::from_secs(60 * options.soak.unwrap_or(0));
    thread::spawn(move || give_up(limit));
    let run = |tools: Tools| match options.soak {
        Some(minutes) => soak::run(&tools, minutes, options.seed, options.markdown),
        None => run(&tools, &options),
    };
    match tools().and_then(run) {
        Ok(verdict) => ExitCode::from(verdict as u8),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(3)
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options =
        Options { quick: false, markdown: false, only: None, soak: None, seed: system::now() / 1_000_000 };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--md" => options.markdown = true,
            "soak" => options.soak = Some(30),
            "--minutes" if options.soak.is_some() => options.soak = Some(number(arguments.next())?),
            "--seed" if options.soak.is_some() => options.seed = number(arguments.next())?,
            "--only" => {
                let names = arguments.next().ok_or("--only needs names")?;
                options.only = Some(names.split(',').map(str::to_owned).collect());
            }
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(options)
}

fn number(argument: Option<String>) -> Result<u64> {
    argument.as_deref().and_then(|text| text.parse().ok()).ok_or_else(|| "a number is missing".into())
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
    // A copy, as an installed one is: what the linker has written lies in the page cache in smaller pieces, and begins later.
    let endless = directory.join("endless");
    fs::copy(path("ENDLESS_BIN")?, &endless)?;
    Ok(Tools {
        endless,
        simple_server: path("SIMPLE_SERVER")?,
        target: path("BENCH_TARGET")?,
        linked: path("BENCH_LINKED")?,
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
    let quick = if options.quick { ", --quick" } else { "" };
    let text = format!(
        "{}{quick}; medians, in milliseconds where nothing else is said.\n\n{}",
        machine(),
        table(&HEAD, &rows.iter().map(Row::cells).collect::<Vec<_>>())
    );
    println!("{text}");
    if options.markdown {
        write_into_page("table", &text)?;
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
        "launch" => Ok(measure::launch::measure(tools, pick(200, 50), pick(20, 5))?.into()),
        "latency" => measure::latency::measure(tools, pick(50, 15), pick(20, 4)),
        "idle" => measure::idle::measure(tools, Duration::from_secs(pick(10, 3) as u64)),
        "scale" => measure::scale::measure(tools, pick(5, 1)),
        "storm" => measure::storm::measure(tools),
        _ => measure::lost::measure(tools, pick(100, 15), pick(60, 5)),
    }
}

/// On what, in a few words.
fn machine() -> String {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}, {processors} processors", kernel.trim())
}

/// Puts the text between this mark and the next end in bench/README.md.
fn write_into_page(mark: &str, text: &str) -> Result<()> {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let mark = format!("<!-- {mark} -->");
    let page = fs::read_to_string(file)?;
    let (before, rest) = page.split_once(&mark).ok_or_else(|| format!("README.md has no {mark}"))?;
    let (_, after) = rest.split_once("<!-- end -->").ok_or("README.md has no <!-- end -->")?;
    fs::write(file, format!("{before}{mark}\n{text}\n<!-- end -->{after}"))?;
    Ok(())
}

/// Ends everything when the time is up: what we started, and ourselves.
fn give_up(limit: Duration) {
    thread::sleep(limit);
    eprintln!("error: not done after {} s", limit.as_secs());
    for pid in system::descendants(std::process::id()) {
        system::kill(pid, libc::SIGKILL);
    }
    std::process::exit(3);
}
