//! Watching one candidate until it is known to serve.

use super::bound::Captured;
use super::http::HttpProbe;
use crate::listener::{Listeners, Probe, ProbeState};
use crate::plan::{Readiness, ReadyMode};
use crate::words::{GenerationId, Moment, ReadySign, Sig};
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
    signs: Signs,
    next: Option<Moment>,
}

/// What is known about a candidate when its watch begins.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// A generation has sent READY=1 before, so this one will.
    pub expects_notify: bool,
    /// The sockets it makes by itself are known.
    pub captures: bool,
    /// Nothing else serves.
    pub alone: bool,
}

/// The signs that count.
#[derive(Debug)]
enum Signs {
    /// READY=1 alone.
    Notify,
    /// A signal alone.
    Signal(Sig),
    /// The accepted probe; `notify`: READY=1 counts too; `all`: on every listener.
    Accept { probe: Probe, notify: bool, all: bool, first: Option<Moment> },
    /// That it listens by itself wherever another generation does, and accepts there. READY=1 counts too.
    Captured(Box<Captured>),
    /// An answer to a GET.
    Answer(Box<HttpProbe>),
    /// That time passes; `notify`: READY=1 counts too; `guess`: nothing better can be known.
    Time { until: Moment, notify: bool, guess: bool },
}

impl Watch {
    /// Begins to watch.
    pub fn begin(
        readiness: &Readiness,
        generation: GenerationId,
        known: Known,
        listeners: &mut Listeners,
        now: Moment,
    ) -> Self {
        let settle = readiness.settle;
        let signs = match &readiness.mode {
            ReadyMode::Notify => Signs::Notify,
            ReadyMode::Auto if known.expects_notify => Signs::Notify,
            ReadyMode::Signal(signal) => Signs::Signal(*signal),
            ReadyMode::Delay(delay) => Signs::Time { until: now + *delay, notify: false, guess: false },
            ReadyMode::ProbeHttp(path) => Signs::Answer(Box::new(HttpProbe::new(path.clone()))),
            ReadyMode::Auto if known.captures && !listeners.any_handed() => {
                Signs::Captured(Box::new(Captured::begin(generation, known.alone, now, settle)))
            }
            ReadyMode::Auto => accept_or_guess(generation, listeners, now + settle, false),
            ReadyMode::Accept => accept_or_guess(generation, listeners, now + settle, true),
        };
        let mut watch = Self { generation, began: now, settle, signs, next: None };
        watch.next = watch.next_look(now);
        watch
    }

    /// Its sockets are not known after all: then time must do, as without.
    pub fn without_capture(&mut self, now: Moment) {
        if matches!(self.signs, Signs::Captured(_)) {
            self.signs = Signs::Time { until: self.began + self.settle, notify: true, guess: true };
            self.next = self.next_look(now);
        }
    }

    /// True when READY=1 from the candidate counts.
    #[must_use]
    pub fn counts_notify(&self) -> bool {
        match self.signs {
            Signs::Notify | Signs::Captured(_) => true,
            Signs::Accept { notify, .. } | Signs::Time { notify, .. } => notify,
            Signs::Signal(_) | Signs::Answer(_) => false,
        }
    }

    /// True when this signal from the candidate counts.
    #[must_use]
    pub fn counts_signal(&self, signal: Sig) -> bool {
        matches!(self.signs, Signs::Signal(expected) if expected == signal)
    }

    /// When to call [`Watch::look`] next.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        self.next
    }

    /// Looks, if it is time to. `Some` when the candidate serves.
    pub fn look(&mut self, now: Moment, listeners: &mut Listeners) -> Option<ReadySign> {
        if self.next.is_none_or(|next| next > now) {
            return None;
        }
        let sign = match &mut self.signs {
            Signs::Notify | Signs::Signal(_) => None,
            Signs::Time { until, .. } if *until > now => None,
            Signs::Time { guess: true, .. } => Some(ReadySign::Guessed(self.settle)),
            Signs::Time { .. } => Some(ReadySign::Delayed(now.since(self.began))),
            Signs::Captured(captured) => captured.look(now, listeners),
            Signs::Answer(probe) => probe.look(now, self.generation, listeners),
            Signs::Accept { probe, all, first, .. } => {
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
        match &self.signs {
            Signs::Notify | Signs::Signal(_) => None,
            Signs::Time { until, .. } => Some(*until),
            Signs::Accept { .. } | Signs::Answer(_) | Signs::Captured(_) => {
                Some(now + (now.since(self.began) / 8).clamp(SHORTEST, LONGEST))
            }
        }
    }

    /// Ends the watch and puts the steering back to plain.
    pub fn end(self, listeners: &mut Listeners) {
        match self.signs {
            Signs::Accept { probe, .. } => probe.end(listeners),
            Signs::Captured(captured) => captured.end(listeners),
            Signs::Answer(probe) => probe.end(listeners),
            _ => {}
        }
    }
}

fn accept_or_guess(generation: GenerationId, listeners: &mut Listeners, until: Moment, all: bool) -> Signs {
    let mut probe = listeners.begin_probe(generation);
    match probe.check(listeners) {
        ProbeState::Impossible => {
            probe.end(listeners);
            Signs::Time { until, notify: !all, guess: true }
        }
        _ => Signs::Accept { probe, notify: !all, all, first: None },
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
