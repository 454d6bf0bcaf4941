//! What clients of the control socket ask: how things are, or something for the supervisor.

use super::control::ClientId;
use super::requests::asked_for;
use super::{Runtime, clock};
use crate::control::{Answer, Ask, Request, Until};
use crate::notice::Notice;
use crate::plan::SignalAction;
use crate::supervisor::{self, Event, Ticket, Wait};
use crate::words::Sig;

impl Runtime {
    /// Somebody connects.
    pub(super) fn clients_arrive(&mut self) {
        if let Some(control) = &mut self.control {
            control.accept(clock::now());
        }
    }

    /// Something happened at a client: its requests become events.
    pub(super) fn client_speaks(&mut self, id: ClientId, gone: bool) {
        if let Some(control) = &mut self.control {
            control.hear(id, gone, clock::now());
        }
        self.client_goes_on(id);
    }

    /// Takes what a client has asked, as far as it may have asked it by now.
    pub(super) fn client_goes_on(&mut self, id: ClientId) {
        while let Some(request) = self.control.as_mut().and_then(|control| control.next(id, clock::now())) {
            self.client_asks(id, request);
        }
    }

    fn client_asks(&mut self, id: ClientId, request: Request) {
        let by_signal = matches!(request.ask, Ask::Signal { .. });
        let of = |action, wait| Ok((action, self.plan.signals.signal_for(action), wait));
        let asked = match request.ask {
            Ask::Status => Err(Answer::status(request.id.clone(), self.status_now())),
            Ask::Restart { until } => {
                let wait = match until {
                    Until::Active => Wait::Active,
                    Until::Proven => Wait::Done,
                    Until::Drained => Wait::Gone,
                };
                of(SignalAction::Restart, wait)
            }
            Ask::Stop => of(SignalAction::Stop, Wait::Done),
            Ask::Hammer => of(SignalAction::Hammer, Wait::Gone),
            Ask::Upgrade => of(SignalAction::Upgrade, Wait::Done),
            Ask::Signal { signal } => self.as_signal(id, request.id.clone(), &signal),
        };
        match asked {
            Ok((what, signal, wait)) => {
                if !by_signal {
                    self.tell_asked(id, None, what);
                }
                self.last_ticket += 1;
                let ticket = Ticket(self.last_ticket);
                if let Some(control) = &mut self.control {
                    control.promise(ticket, id, request.id);
                }
                self.events.push_back(Event::Request(supervisor::Request { ticket, what, signal, wait }));
            }
            Err(answer) => {
                if let Some(control) = &mut self.control {
                    control.tell(id, &answer, clock::now());
                }
            }
        }
    }

    fn tell_asked(&mut self, client: ClientId, signal: Option<Sig>, what: SignalAction) {
        let sender = self.control.as_ref().and_then(|control| control.pid_of(client));
        self.tell(&Notice::Asked { signal, sender, what: asked_for(what) });
    }

    /// What a signal of this name asks for.
    fn as_signal(
        &mut self,
        client: ClientId,
        id: Option<serde_json::Value>,
        text: &str,
    ) -> Result<(SignalAction, Option<Sig>, Wait), Answer> {
        let Some(signal) = Sig::parse(text) else {
            return Err(Answer::refused(id, format!("`{text}` is not a signal")));
        };
        match self.plan.signals.0.get(&signal).copied() {
            Some(action) => {
                self.tell_asked(client, Some(signal), action);
                Ok((action, Some(signal), Wait::Done))
            }
            None => Err(Answer::refused(id, format!("endless does nothing on {signal} (--on)"))),
        }
    }
}
