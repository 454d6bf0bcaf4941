//! Two addresses in one server, told apart by their names and not by their order:
//!
//! ```text
//! endless -l web=localhost:4242 -l admin=localhost:4243 -- ./target/debug/examples/multi_port
//! ```
//!
//! Started by hand it binds both itself.

use axum::{Router, http::header::CONNECTION, response::IntoResponse, routing::get};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io, process, time::Duration};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long after the stop signal an open connection may still bring a request.
const LINGER: Duration = Duration::from_millis(500);

static STOPPING: AtomicBool = AtomicBool::new(false);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut inherited = Inherited::from_env();
    let web = inherited.listener("web", "localhost:4242")?;
    let admin = inherited.listener("admin", "localhost:4243")?;
    let web =
        axum::serve(web, Router::new().route("/", get(|| answer("Hello, world")))).with_graceful_shutdown(stop()?);
    let admin = axum::serve(admin, Router::new().route("/", get(|| answer("Admin")))).with_graceful_shutdown(stop()?);
    tokio::try_join!(web, admin).map(|_| ())
}

/// What endless hands over: sockets (LISTEN_FDS) and, in the same order, their names (LISTEN_FDNAMES).
struct Inherited {
    names: Vec<String>,
    sockets: listenfd::ListenFd,
}

impl Inherited {
    fn from_env() -> Self {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default(); // first: listenfd removes the variables it has read
        Inherited { names: names.split(':').map(str::to_owned).collect(), sockets: listenfd::ListenFd::from_env() }
    }

    fn listener(&mut self, name: &str, otherwise: &str) -> io::Result<TcpListener> {
        let listener = match self.names.iter().position(|known| known == name) {
            Some(index) => self.sockets.take_tcp_listener(index)?,
            None => None,
        };
        let listener = listener.map_or_else(|| std::net::TcpListener::bind(otherwise), Ok)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    }
}

/// Ends when it is time to close what is idle.
///
/// axum then closes at once each connection that has not sent anything yet. So it is told a little late: meanwhile
/// requests on their way arrive, and every answer says that it is the last of its connection. New connections still
/// get in here for that long; under endless there are none, because they already go to the next generation.
fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = term.recv() => (), _ = int.recv() => () }
        STOPPING.store(true, Ordering::Relaxed);
        tokio::time::sleep(LINGER).await;
    })
}

async fn answer(text: &str) -> impl IntoResponse {
    let generation = env::var("ENDLESS_GENERATION").unwrap_or_else(|_| "0".to_owned());
    let connection = if STOPPING.load(Ordering::Relaxed) { "close" } else { "keep-alive" };
    ([(CONNECTION, connection)], format!("{text} {generation} {}!\n", process::id()))
}
