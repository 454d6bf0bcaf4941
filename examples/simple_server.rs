//! A small HTTP server that is restarted without losing a request:
//!
//! ```text
//! endless -l localhost:4242 --hammer 60s -- ./target/debug/examples/simple_server
//! ```
//!
//! `curl localhost:4242` greets, `curl localhost:4242/sleep/2000` takes two seconds, `pkill -HUP endless` restarts.

use axum::{Router, extract::Path, http::HeaderValue, http::header::CONNECTION, response::Response, routing::get};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use listenfd::ListenFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io, pin::pin, process, time::Duration};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

/// How long after the stop signal an open connection may still bring a request.
const LINGER: Duration = Duration::from_millis(500);

static STOPPING: AtomicBool = AtomicBool::new(false);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut stop = pin!(async {
        tokio::select! { _ = term.recv() => (), _ = int.recv() => () }
    });
    let app = Router::new().route("/", get(hello)).route("/sleep/{millis}", get(slow));
    let service = TowerToHyperService::new(app.layer(axum::middleware::map_response(last_answer)));
    let listener = listener()?;
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! { biased; () = &mut stop => break, accepted = listener.accept() => accepted };
        match accepted {
            Ok((stream, _)) => {
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(connections.watch(connection));
            }
            Err(error) => {
                eprintln!("accept: {error}");
                sleep(Duration::from_millis(100)).await; // too many open files, for one, takes a moment to pass
            }
        }
    }
    // No more connections, and each open one is told with its next answer that it was the last. `shutdown` comes after
    // that: it closes at once what has sent nothing so far, and a request to such a connection may be on its way.
    drop(listener);
    STOPPING.store(true, Ordering::Relaxed);
    let all_gone = async {
        while connections.count() > 0 {
            sleep(Duration::from_millis(5)).await
        }
    };
    let _ = timeout(LINGER, all_gone).await;
    connections.shutdown().await; // waits for answers in the making, however long: endless has the hammer
    Ok(())
}

/// The socket endless holds for us, or, started by hand, one of our own.
fn listener() -> io::Result<TcpListener> {
    let listener = match ListenFd::from_env().take_tcp_listener(0)? {
        Some(inherited) => inherited,
        None => std::net::TcpListener::bind("localhost:4242")?,
    };
    listener.set_nonblocking(true)?; // tokio needs it, and an inherited socket is blocking
    TcpListener::from_std(listener)
}

async fn hello() -> String {
    let generation = env::var("ENDLESS_GENERATION").unwrap_or_else(|_| "0".to_owned());
    format!("Hello, world {generation} {}!\n", process::id())
}

async fn slow(Path(millis): Path<u64>) -> String {
    sleep(Duration::from_millis(millis)).await;
    hello().await
}

async fn last_answer(mut response: Response) -> Response {
    if STOPPING.load(Ordering::Relaxed) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
