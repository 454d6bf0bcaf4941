//! The control socket: requests from clients, as one more source of events.
//!
//! Everything is bounded: the number of clients, what is kept of each, how long a half said line or an answer that is not
//! read is waited for. A client that is silent costs a descriptor and no wakeup.

mod client;
mod socket;

pub use socket::{open, open_default};

use super::hooks::RunningHooks;
use crate::control::{self, Answer, Ask, Request};
use crate::supervisor::{Outcome, Ticket};
use crate::sys::poll;
use crate::words::Moment;
use client::Client;
use nix::errno::Errno;
use nix::poll::{PollFlags, PollTimeout};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Pid, geteuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use socket::Socket;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// So many clients may be connected; the one more takes the place of the longest silent one.
const MOST_CLIENTS: usize = 1000;
/// No more are accepted in one turn of the loop.
const ACCEPT_AT_ONCE: usize = 64;
/// The pause when there is no descriptor left for another client.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// At the end so long is waited, in milliseconds, for clients to take their last answers.
const LAST_WORDS: u8 = 200;

/// A client by its number.
pub type ClientId = u64;

/// The socket and everybody who is connected to it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Control {
    socket: Socket,
    clients: BTreeMap<ClientId, Client>,
    /// Who waits for the answer to which request.
    waiting: BTreeMap<Ticket, (ClientId, Option<Value>)>,
    last: ClientId,
    paused: Option<Moment>,
}

impl Control {
    fn new(socket: Socket) -> Control {
        Control { socket, clients: BTreeMap::new(), waiting: BTreeMap::new(), last: 0, paused: None }
    }

    /// Where those who connect arrive; None during a pause.
    #[must_use]
    pub fn door(&self) -> Option<BorrowedFd<'_>> {
        self.paused.is_none().then(|| self.socket.as_fd())
    }

    /// Every client, and what to wait for there.
    pub fn clients(&self) -> impl Iterator<Item = (ClientId, BorrowedFd<'_>, PollFlags)> {
        self.clients.iter().map(|(id, client)| (*id, client.as_fd(), client.flags()))
    }

    /// Takes those who have connected.
    pub fn accept(&mut self, now: Moment) {
        for _ in 0..ACCEPT_AT_ONCE {
            match self.socket.listener.accept() {
                Ok((stream, _)) => self.welcome(stream, now),
                Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS) => {
                        if !self.make_room() {
                            self.paused = Some(now + ACCEPT_PAUSE);
                            return;
                        }
                    }
                    Some(Errno::EINTR | Errno::ECONNABORTED) => {}
                    _ => return,
                },
            }
        }
    }

    fn welcome(&mut self, stream: UnixStream, now: Moment) {
        let known =
            getsockopt(&stream, PeerCredentials).is_ok_and(|peer| peer.uid() == geteuid().as_raw() || peer.uid() == 0);
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        let mut client = Client::new(stream);
        let no = match known {
            false => Some("only the user that runs it and root may talk to this endless"),
            true if self.clients.len() >= MOST_CLIENTS && !self.make_room() => Some("too many clients"),
            true => None,
        };
        if let Some(why) = no {
            return client.tell(&control::line(&Answer::refused(None, why)), now);
        }
        self.last += 1;
        self.clients.insert(self.last, client);
    }

    /// Sends the longest silent client away that waits for nothing. False when there is none.
    fn make_room(&mut self) -> bool {
        let idle = self.clients.iter().find(|(_, client)| client.pending == 0).map(|(id, _)| *id);
        idle.is_some_and(|id| self.clients.remove(&id).is_some())
    }

    /// Something happened at a client. `gone`: it has closed its end.
    pub fn hear(&mut self, id: ClientId, gone: bool, now: Moment) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if gone {
            client.hear_last();
        } else {
            client.speak(now);
            client.hear(now);
        }
    }

    /// The next request of a client. What is none is answered here. One who has closed its end is forgotten after the last.
    pub fn next(&mut self, id: ClientId, now: Moment) -> Option<Request> {
        loop {
            let client = self.clients.get_mut(&id)?;
            let Some(line) = client.next_line() else {
                client.time(now);
                if client.over() || client.gone() {
                    self.clients.remove(&id);
                }
                return None;
            };
            let answer = match line.map(|line| control::request(&line)) {
                Some(Ok(request)) => return Some(request),
                Some(Err(answer)) => *answer,
                None => Answer::refused(None, format!("a request has at most {} bytes", control::LONGEST_REQUEST)),
            };
            client.dismiss();
            client.tell(&control::line(&answer), now);
        }
    }

    /// The process that has connected; None where it is not known, as from another pid namespace.
    #[must_use]
    pub fn pid_of(&self, id: ClientId) -> Option<i32> {
        let peer = getsockopt(&self.clients.get(&id)?.as_fd(), PeerCredentials).ok()?;
        Some(peer.pid()).filter(|pid| *pid != 0)
    }

    /// This client waits for the answer to this ticket.
    pub fn promise(&mut self, ticket: Ticket, id: ClientId, request: Option<Value>) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.pending += 1;
            self.waiting.insert(ticket, (id, request));
        }
    }

    /// Gives the supervisor's answer to whoever waits for it; nobody does where the request came by a signal. Returns whose
    /// next request may be taken now.
    pub fn answer(&mut self, ticket: Ticket, outcome: &Outcome, now: Moment) -> Option<ClientId> {
        let (id, request) = self.waiting.remove(&ticket)?;
        let answer = match outcome {
            Outcome::Done(generation) => Answer::done(request, generation.map(|generation| generation.0)),
            Outcome::Failed(failure) => Answer::refused(request, failure.to_string()),
        };
        if let Some(client) = self.clients.get_mut(&id) {
            client.pending -= 1;
        }
        self.tell(id, &answer, now);
        Some(id)
    }

    /// Tells a client something.
    pub fn tell(&mut self, id: ClientId, answer: &Answer, now: Moment) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.tell(&control::line(answer), now);
            if client.over() {
                self.clients.remove(&id);
            }
        }
    }

    /// When somebody has been slow for too long, or the pause is over.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.clients.values().filter_map(Client::deadline).chain(self.paused).min()
    }

    /// Sends those away who were.
    pub fn expire(&mut self, now: Moment) {
        self.paused.take_if(|until| *until <= now);
        self.clients.retain(|_, client| client.deadline().is_none_or(|deadline| deadline > now));
    }

    /// Everything is gone but hooks. One of them that waits here for the end would be waited for.
    pub fn send_away(&mut self, hooks: &RunningHooks) {
        let of_hooks = |id: &ClientId| self.pid_of(*id).is_some_and(|pid| hooks.has(Pid::from_raw(pid)));
        let waiting: Vec<ClientId> = self.clients.keys().copied().filter(of_hooks).collect();
        self.clients.retain(|id, _| !waiting.contains(id));
    }

    /// endless is about to exit: whoever has asked something that was not read yet is told so (it is what a stop asks for), and what is not taken at once
    /// is waited for, shortly. The connections close with the process, so that their end is its end.
    pub fn close(mut self, now: Moment) {
        self.accept(now);
        for id in self.clients.keys().copied().collect::<Vec<_>>() {
            self.hear(id, false, now);
            while let Some(request) = self.next(id, now) {
                let answer = match request.ask {
                    Ask::Stop => Answer::done(request.id, None),
                    _ => Answer::refused(request.id, "endless is stopping"),
                };
                self.tell(id, &answer, now);
            }
        }
        let slow = |client: &&mut Client| client.flags().contains(PollFlags::POLLOUT);
        for client in self.clients.values_mut().filter(slow) {
            let _ = poll::state(&*client, PollFlags::POLLOUT, PollTimeout::from(LAST_WORDS));
            client.speak(now);
        }
        std::mem::forget(self.clients);
    }
}
