//! HTTPS without downtime. The certificate is read anew by each generation, so a restart also renews it:
//!
//! ```text
//! endless -l localhost:4443 --hammer 60s -- ./target/debug/examples/tls_server [CERTIFICATE.pem KEY.pem]
//! ```
//!
//! Without the two files it makes a certificate of its own: `curl --insecure https://localhost:4443`.

use hyper::{Request, Response, body::Incoming, header::CONNECTION, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io, pin::pin, process, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, rustls};

/// How long after the stop signal an open connection may still bring a request. Before its first one a client has three
/// round trips to make and keys to compute, so it is longer than in `simple_server`.
const LINGER: Duration = Duration::from_secs(2);
/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);

static STOPPING: AtomicBool = AtomicBool::new(false);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut stop = pin!(async {
        tokio::select! { _ = term.recv() => (), _ = int.recv() => () }
    });
    let tls = acceptor()?; // before the first accept: a broken certificate ends this generation, not the service
    let listener = listener()?;
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! { biased; () = &mut stop => break, accepted = listener.accept() => accepted };
        let Ok((stream, _)) = accepted else {
            sleep(Duration::from_millis(100)).await; // out of descriptors, or the socket was shut down
            continue;
        };
        let (tls, watcher) = (tls.clone(), connections.watcher()); // from here on it counts, handshake and all
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello));
                let _ = watcher.watch(connection).await;
            }
        });
    }
    // As in `simple_server`: no more connections, then a last answer on each open one, and only then the shutdown.
    drop(listener);
    STOPPING.store(true, Ordering::Relaxed);
    let all_gone = async {
        while connections.count() > 0 {
            sleep(Duration::from_millis(5)).await
        }
    };
    let _ = timeout(LINGER, all_gone).await;
    connections.shutdown().await;
    Ok(())
}

fn acceptor() -> anyhow::Result<TlsAcceptor> {
    let mut files = env::args().skip(1);
    let (chain, key) = if let (Some(certificate), Some(key)) = (files.next(), files.next()) {
        (CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?, PrivateKeyDer::from_pem_file(key)?)
    } else {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        (vec![own.cert.into()], own.signing_key.into())
    };
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn listener() -> io::Result<TcpListener> {
    let inherited = listenfd::ListenFd::from_env().take_tcp_listener(0)?;
    let listener = inherited.map_or_else(|| std::net::TcpListener::bind("localhost:4443"), Ok)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let generation = env::var("ENDLESS_GENERATION").unwrap_or_else(|_| "0".to_owned());
    let mut response = Response::new(format!("Hello, world {generation} {}!\n", process::id()));
    if STOPPING.load(Ordering::Relaxed) {
        response.headers_mut().insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
    }
    Ok(response)
}
