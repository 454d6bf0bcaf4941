//! One recipe under load: restarts, and what the clients saw.

use crate::recipe::{BOOTED, Recipe, node_path};
use crate::support::load::{Count, Load};
use crate::support::{Endless, Setup, example, free_address, until};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

/// What came of it.
pub struct Result {
    pub new: Count,
    pub kept: Count,
    pub slow: Count,
    /// From SIGHUP until the new copy was ready, the median.
    pub ready: Duration,
}

/// A server that outlives the restarts, for proxies to stand in front of.
struct Backend(Child);

impl Backend {
    fn start(at: SocketAddr) -> Backend {
        let mut command = Command::new(example("target"));
        let child = command.arg(format!("bind={at}")).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        until("the back end listens", || TcpStream::connect(at).ok());
        Backend(child)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the recipe at an address of its own and restarts it under new-connection, keep-alive and slow clients.
pub fn run(recipe: &Recipe, restarts: u32) -> Result {
    let ports = [(8000, free_address()), (8001, free_address())];
    let replaced = |text: &str| {
        ports.iter().fold(text.to_owned(), |text, (from, to)| text.replace(&from.to_string(), &to.port().to_string()))
    };
    let _backend = recipe.backend.then(|| Backend::start(ports[1].1));
    let line = replaced(&recipe.line);
    let setup = Setup::line(&if recipe.systemd { as_if_booted(&line) } else { line })
        .env("ENDLESS_PROBATION", "0")
        .env("ENDLESS_HAMMER", "30s")
        // Clients that never pause keep some servers from ever being quiet: then the limit ends the drain.
        .env("ENDLESS_DRAIN", "quiet=3s")
        .env("NODE_PATH", &node_path())
        .env("SIMPLE_SERVER", &example("simple_server").display().to_string());
    prepare(recipe, setup.dir(), &replaced);
    let mut endless = setup.start_line();
    endless.ready(1);
    let result = load(recipe, &endless, ports[0].1, restarts);
    endless.stop();
    result
}

/// With a directory of its own where sd_booted(3) looks, unless systemd runs.
fn as_if_booted(line: &str) -> String {
    if Path::new(BOOTED).is_dir() {
        return line.to_owned();
    }
    format!(
        "unshare --mount sh -c 'mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && mkdir {BOOTED} && exec {line}'"
    )
}

/// Puts the recipe's files where it is run, and builds what has to be built.
fn prepare(recipe: &Recipe, dir: &Path, replaced: &dyn Fn(&str) -> String) {
    let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/apps");
    // A server that gives up root looks into it, too.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    for file in &recipe.files {
        let text = fs::read_to_string(apps.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        fs::write(dir.join(file), replaced(&text)).unwrap();
    }
    if let Some(script) = &recipe.before {
        assert!(Command::new("sh").arg(script).current_dir(dir).status().unwrap().success(), "{script} fails");
    }
    if let Some(source) = &recipe.build {
        let built = Command::new("go")
            .args(["build", "-o", "server", source])
            // Debian's packaged libraries, as they lie there; no network.
            .envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode")])
            .env("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go-cache"))
            .current_dir(dir)
            .status();
        assert!(built.unwrap().success(), "{source} cannot be built");
    }
}

fn load(recipe: &Recipe, endless: &Endless, at: SocketAddr, restarts: u32) -> Result {
    let asks = &recipe.asks;
    let (new, kept, slow) = (Load::start(at, &asks.new), Load::start(at, &asks.kept), Load::start(at, &asks.slow));
    let mut took = Vec::new();
    for generation in 2..=restarts + 1 {
        new.wait_for_more(20);
        slow.wait_for_more(if asks.slow.is_empty() { 0 } else { 3 });
        let began = Instant::now();
        endless.restart(generation);
        took.push(began.elapsed());
        endless.gone(generation - 1);
    }
    new.wait_for_more(20);
    slow.wait_for_more(if asks.slow.is_empty() { 0 } else { 3 });
    took.sort();
    Result { new: new.finish(), kept: kept.finish(), slow: slow.finish(), ready: took[took.len() / 2] }
}
