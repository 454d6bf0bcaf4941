//! A server that has never heard of inherited sockets: it binds its address, and SIGTERM kills it on the spot.
//!
//! ```text
//! endless -- ./target/debug/examples/bind_itself localhost:4242
//! ```
//!
//! Nothing in it helps endless, and nothing in it should be copied: it stands for the programs one cannot change.

#![allow(clippy::disallowed_methods)] // threads: this is a program to be run by endless, not a part of it

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, process, thread};

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "localhost:4242".to_owned());
    for stream in TcpListener::bind(address)?.incoming() {
        let stream = stream?;
        thread::spawn(move || answer_all(&stream));
    }
    Ok(())
}

/// Answers one request after the other until the client closes.
fn answer_all(stream: &TcpStream) -> io::Result<()> {
    let generation = env::var("ENDLESS_GENERATION").unwrap_or_else(|_| "0".to_owned());
    let body = format!("Hello, world {generation} {}!\n", process::id());
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for line in BufReader::new(stream).lines() {
        // The empty line ends a request: what it asked for does not matter here, and no body is expected.
        if line?.is_empty() {
            (&*stream).write_all(answer.as_bytes())?;
        }
    }
    Ok(())
}
