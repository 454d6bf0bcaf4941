//! A server that needs a while before it can answer, and says when it can:
//!
//! ```text
//! endless -l localhost:4242 --ready notify --ready-timeout 30s -- ./target/debug/examples/notify
//! ```
//!
//! The generation before it goes on answering all through the warm-up. Warm-up time in ms as argument, default 2000.

use axum::{Router, http::header::CONNECTION, response::IntoResponse, routing::get};
use sd_notify::NotifyState;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io, process, time::Duration};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// How long after the stop signal an open connection may still bring a request.
const LINGER: Duration = Duration::from_millis(500);

static STOPPING: AtomicBool = AtomicBool::new(false);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let stop = stop()?;
    let listener = match listenfd::ListenFd::from_env().take_tcp_listener(0)? {
        Some(inherited) => inherited,
        None => std::net::TcpListener::bind("localhost:4242")?,
    };
    listener.set_nonblocking(true)?;
    warm_up().await;
    let app = Router::new().route("/", get(hello));
    let server = axum::serve(TcpListener::from_std(listener)?, app).with_graceful_shutdown(stop);
    say(&[NotifyState::Ready, NotifyState::Status("serving")]);
    server.await
}

/// Stands for what real servers do first: filling caches, connecting to the database.
async fn warm_up() {
    let millis = env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2000);
    for percent in (0..100).step_by(10) {
        say(&[NotifyState::Status(&format!("warming up: {percent} %"))]);
        sleep(Duration::from_millis(millis) / 10).await;
    }
}

/// Tells endless, or systemd, or nobody when there is no NOTIFY_SOCKET. Not to be heard is no reason to fail.
fn say(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        eprintln!("NOTIFY_SOCKET: {error}");
    }
}

/// Ends a little after the stop signal: see the example `multi_port` for why.
fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = term.recv() => (), _ = int.recv() => () }
        say(&[NotifyState::Stopping, NotifyState::Status("finishing the open requests")]);
        STOPPING.store(true, Ordering::Relaxed);
        sleep(LINGER).await;
    })
}

async fn hello() -> impl IntoResponse {
    let generation = env::var("ENDLESS_GENERATION").unwrap_or_else(|_| "0".to_owned());
    let connection = if STOPPING.load(Ordering::Relaxed) { "close" } else { "keep-alive" };
    ([(CONNECTION, connection)], format!("Hello, world {generation} {}!\n", process::id()))
}
