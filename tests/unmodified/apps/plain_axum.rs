//! axum as its first example has it: an address of its own, and no shutdown. SIGTERM kills it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a program to be run by endless, not a part of it")]

use axum::Router;
use axum::routing::get;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let address = std::env::args().nth(1).unwrap();
    let generation = std::env::var("ENDLESS_GENERATION").unwrap_or_default();
    let body = format!("Hello, world {generation} {}!\n", std::process::id());
    let app = Router::new().route("/", get(async move || body));
    axum::serve(tokio::net::TcpListener::bind(address).await.unwrap(), app).await.unwrap();
}
