//! Watching one candidate until it is known to serve.

use super::http::HttpProbe;
use super::outside::Outside;
use super::own_sockets::OwnSockets;
use crate::listener::{Listeners, Probe, ProbeState};
use crate::plan::{Plan, ReadyMode, Sign};
use crate::words::{GenerationId, Moment, ReadySign};
use std::time::Duration;

/// The shortest and the longest pause between two looks at a probe.
const SHORTEST: Duration = Duration::from_micros(200);
const LONGEST: Duration = Duration::from_millis(25);

/// What one candidate is watched for.
#[derive(Debug)]
pub struct Watch {
    generation: GenerationId,
    began: Moment,
    settle: Duration,
    /// What it can say that counts.
    said: Vec<Sign>,
    look: Look,
    next: Option<Moment>,
}

/// What is known about a candidate when its watch begins.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// How a generation before has said that it serves, so this one will.
    pub expects: Option<Sign>,
    /// The sockets it makes by itself are known.
    pub captures: bool,
    /// Nothing else serves.
    pub alone: bool,
    /// How long those before it may have taken from their first socket to their last one, and as long again.
    pub others_late: Duration,
}

/// What endless looks for by itself.
#[derive(Debug)]
enum Look {
    /// Nothing: it waits for a word.
    Nothing,
    /// The accepted probe; `all`: on every listener.
    Accept { probe: Probe, all: bool, first: Option<Moment> },
    /// That it listens by itself wherever another generation does, and accepts there.
    OwnSockets(Box<OwnSockets>),
    /// An answer to a GET.
    Answer(Box<HttpProbe>),
    /// A connection, or an answer, at an address of its own.
    Outside(Box<Outside>),
    /// That time passes; `guess`: nothing better can be known.
    Time { until: Moment, guess: bool },
}

impl Watch {
    /// Begins to watch.
    pub fn begin(plan: &Plan, generation: GenerationId, known: Known, listeners: &mut Listeners, now: Moment) -> Self {
        let settle = plan.readiness.settle;
        let (said, look) = match (&plan.readiness.mode, known.expects) {
            (ReadyMode::Notify, _) => (vec![Sign::Notify], Look::Nothing),
            (ReadyMode::Signal(signal), _) => (vec![Sign::Signal(*signal)], Look::Nothing),
            (ReadyMode::Delay(delay), _) => (Vec::new(), Look::Time { until: now + *delay, guess: false }),
            (ReadyMode::ProbeHttp(path), _) => (Vec::new(), Look::Answer(Box::new(HttpProbe::new(path.clone())))),
            (ReadyMode::Fd(number), _) => (vec![Sign::Pipe(*number)], Look::Nothing),
            (ReadyMode::Exec(_), _) => (Vec::new(), Look::Nothing),
            (ReadyMode::Http(url), _) => (Vec::new(), Look::Outside(Box::new(Outside::ask(url)))),
            (ReadyMode::Tcp(at), _) => (Vec::new(), Look::Outside(Box::new(Outside::connect(*at)))),
            // Where nothing else serves, clients come to it in any case: it is not to be killed for a word of another release. One
            // with a watchdog is to have begun to speak.
            (ReadyMode::Auto, Some(sign)) if known.alone && plan.lifecycle.watchdog.is_none() => {
                let look = look_for(generation, known, listeners, now, settle);
                (vec![sign], if matches!(look, Look::Time { .. }) { Look::Nothing } else { look })
            }
            (ReadyMode::Auto, Some(sign)) => (vec![sign], Look::Nothing),
            (ReadyMode::Auto, None) => {
                let said = std::iter::once(Sign::Notify).chain(plan.handoff.signs()).collect();
                (said, look_for(generation, known, listeners, now, settle))
            }
            (ReadyMode::Accept, _) => (Vec::new(), accept_or_guess(generation, listeners, now + settle, true)),
        };
        let mut watch = Self { generation, began: now, settle, said, look, next: None };
        watch.next = watch.next_look(now);
        watch
    }

    /// Its sockets are not known after all: then time must do, as without.
    pub fn without_capture(&mut self, now: Moment) {
        if matches!(self.look, Look::OwnSockets(_)) {
            self.look = Look::Time { until: self.began + self.settle, guess: true };
            self.next = self.next_look(now);
        }
    }

    /// Its word may be lost: where endless looks for itself at a first copy (`mode`), it does so now.
    pub fn accept_too(&mut self, mode: &ReadyMode, known: Known, listeners: &mut Listeners, now: Moment) {
        if matches!((mode, &self.look), (ReadyMode::Auto, Look::Nothing)) {
            self.look = look_for(self.generation, known, listeners, now, self.settle);
            self.next = self.next_look(now);
        }
    }

    /// True when this word from the candidate counts.
    #[must_use]
    pub fn counts(&self, sign: Sign) -> bool {
        self.said.contains(&sign)
    }

    /// How long it has been watched.
    #[must_use]
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.began)
    }

    /// When to call [`Watch::look`] next.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        self.next
    }

    /// Whether it is time to look.
    #[must_use]
    pub fn is_due(&self, now: Moment) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// True when it connects to sockets of the candidate.
    #[must_use]
    pub fn connects(&self) -> bool {
        matches!(self.look, Look::Accept { .. } | Look::Answer(_) | Look::OwnSockets(_))
    }

    /// True as long as it has not had the time to settle.
    #[must_use]
    pub fn is_young(&self, now: Moment) -> bool {
        self.age(now) < self.settle
    }

    /// Closes its connections; [`Watch::look_anew`] makes others.
    pub fn put_off(&mut self, listeners: &mut Listeners, now: Moment) {
        std::mem::replace(&mut self.look, Look::Nothing).end(listeners);
        self.next = Some(now + LONGEST);
    }

    /// Begins to look again after [`Watch::put_off`].
    pub fn look_anew(&mut self, plan: &Plan, known: Known, listeners: &mut Listeners, now: Moment) {
        self.look = Watch::begin(plan, self.generation, known, listeners, now).look;
    }

    /// Looks. `Some` when the candidate serves.
    pub fn look(&mut self, now: Moment, listeners: &mut Listeners) -> Option<ReadySign> {
        let sign = match &mut self.look {
            Look::Nothing => None,
            Look::Time { until, .. } if *until > now => None,
            Look::Time { guess: true, .. } => Some(ReadySign::Guessed(self.settle)),
            Look::Time { .. } => Some(ReadySign::Delayed(now.since(self.began))),
            Look::Outside(outside) => outside.look(now),
            Look::OwnSockets(sockets) => sockets.look(now, listeners),
            Look::Answer(probe) => probe.look(now, self.generation, listeners),
            Look::Accept { probe, all, first } => {
                let state = probe.check(listeners);
                accepted(&state, *all, first, now, self.settle).then_some(ReadySign::Accepted)
            }
        };
        self.next = self.next_look(now);
        sign
    }

    /// The pause grows with the age: a target that starts in a millisecond is noticed at once, one that takes a minute
    /// is not stared at.
    fn next_look(&self, now: Moment) -> Option<Moment> {
        match &self.look {
            Look::Nothing => None,
            Look::Time { until, .. } => Some(*until),
            Look::Accept { .. } | Look::Answer(_) | Look::OwnSockets(_) | Look::Outside(_) => {
                Some(now + (now.since(self.began) / 8).clamp(SHORTEST, LONGEST))
            }
        }
    }

    /// Ends the watch and puts the steering back to plain.
    pub fn end(self, listeners: &mut Listeners) {
        self.look.end(listeners);
    }
}

impl Look {
    fn end(self, listeners: &mut Listeners) {
        match self {
            Look::Accept { probe, .. } => probe.end(listeners),
            Look::OwnSockets(sockets) => sockets.end(listeners),
            Look::Answer(probe) => probe.end(listeners),
            _ => {}
        }
    }
}

/// What `auto` looks for by itself.
fn look_for(generation: GenerationId, known: Known, listeners: &mut Listeners, now: Moment, settle: Duration) -> Look {
    if known.captures && !listeners.any_handed() {
        return Look::OwnSockets(Box::new(OwnSockets::begin(generation, known, now, settle)));
    }
    accept_or_guess(generation, listeners, now + settle, false)
}

fn accept_or_guess(generation: GenerationId, listeners: &mut Listeners, until: Moment, all: bool) -> Look {
    let mut probe = listeners.begin_probe(generation);
    match probe.check(listeners) {
        ProbeState::Impossible => {
            probe.end(listeners);
            Look::Time { until, guess: true }
        }
        _ => Look::Accept { probe, all, first: None },
    }
}

/// One listener is enough; the others get up to `settle` more, unless all are asked for.
pub(super) fn accepted(
    state: &ProbeState,
    all: bool,
    first: &mut Option<Moment>,
    now: Moment,
    settle: Duration,
) -> bool {
    match state {
        ProbeState::All => true,
        ProbeState::Some if !all => now.since(*first.get_or_insert(now)) >= settle,
        _ => false,
    }
}
