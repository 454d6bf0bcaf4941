//! Reads a story's table, plays it, and writes what is done in the table's words.

use crate::target::ms;
use endless::plan::{Lifecycle, SignalAction};
use endless::supervisor::{Action, Event, HookRun, Outcome, Request, Seats, Supervisor, Ticket, Wait, Word};
use endless::words::{Exit, Failure, GenerationId, HookPoint, Moment, ReadySign, Sig};

/// Tells a story: each row is `time in ms | event | actions`.
pub fn tell(policy: Lifecycle, story: &str) {
    let mut supervisor = Supervisor::new(policy, 7);
    let mut told = Teller::default();
    for row in story.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [time, event, expected] = cells[..] else { panic!("a row has three cells: {row}") };
        let now = Moment(ms(time.parse().unwrap()));
        let missed = supervisor.next_deadline().is_some_and(|deadline| deadline < now);
        assert!(!missed, "before `{row}` a deadline passed: {:?}", supervisor.next_deadline());
        assert_eq!(
            told.step(&mut supervisor, now, event),
            expected,
            "in the row `{row}` (left: done, right: expected)"
        );
    }
}

/// Turns words into events and actions into words.
#[derive(Default)]
pub struct Teller {
    tickets: u64,
    /// The next hooks of this point say no.
    no: Option<HookPoint>,
    /// The configuration cannot be read.
    broken: bool,
}

impl Teller {
    /// Plays one event and all hooks it leads to; returns the actions in words.
    pub fn step(&mut self, supervisor: &mut Supervisor, now: Moment, event: &str) -> String {
        let mut done = Vec::new();
        let mut events = vec![self.event(event)];
        while let Some(event) = events.pop() {
            for action in supervisor.handle(now, event) {
                match action {
                    Action::RunHooks { run, point, .. } => events.insert(0, self.hooks_done(run, point)),
                    Action::Reread => {
                        done.push("read".to_owned());
                        events.insert(0, Event::Reread(self.configuration()));
                    }
                    other => done.extend(words(&other)),
                }
            }
        }
        done.join(", ")
    }

    /// The policy with a hammer of a second, or nothing that can be read.
    fn configuration(&mut self) -> Result<Box<Lifecycle>, String> {
        match self.broken {
            true => Err("a quote is not closed".to_owned()),
            false => Ok(Box::new(Lifecycle { hammer: Some(ms(1000)), rereads: true, ..crate::stories::plain() })),
        }
    }

    fn hooks_done(&mut self, run: HookRun, point: HookPoint) -> Event {
        let result = if self.no.take_if(|no| *no == point).is_some() { Err("no".to_owned()) } else { Ok(()) };
        Event::HooksDone { run, result }
    }

    fn event(&mut self, text: &str) -> Event {
        let word: Vec<&str> = text.split(' ').collect();
        let id = GenerationId(word.get(1).and_then(|id| id.parse().ok()).unwrap_or(0));
        match word[0] {
            "begin" => Event::Begin,
            "started" => Event::Started(id),
            "missing" => Event::NotStarted(id, Failure::NotExecuted { step: "execute /srv/app".into(), errno: 2 }),
            "ready" => Event::Ready(id, ReadySign::Notified),
            "exit" => Event::Exited(id, exit(word[2])),
            "gone" => Event::Gone(id),
            "drained" => Event::Drained(id),
            "alive" => Event::Heard(id, Word::Alive),
            "stuck" => Event::Heard(id, Word::Stuck),
            "more" => Event::Heard(id, Word::MoreTime(ms(word[2].parse().unwrap()))),
            "tick" => Event::Tick,
            "restart-broken" => {
                self.broken = true;
                self.request(SignalAction::Restart, None)
            }
            "restart-mended" => {
                self.broken = false;
                self.request(SignalAction::Restart, None)
            }
            "restart" => self.request(SignalAction::Restart, None),
            "restart-active" => self.client(SignalAction::Restart, Wait::Active),
            "restart-gone" => self.client(SignalAction::Restart, Wait::Gone),
            "stop-client" => self.client(SignalAction::Stop, Wait::Done),
            "hammer-gone" => self.client(SignalAction::Hammer, Wait::Gone),
            "stop" => self.request(SignalAction::Stop, None),
            "hammer" => self.request(SignalAction::Hammer, None),
            "HUP" => self.request(SignalAction::Restart, Some(Sig::HUP)),
            "TERM" => self.request(SignalAction::Stop, Some(Sig::TERM)),
            "HUP-vetoed" => self.vetoed(SignalAction::Restart, Sig::HUP),
            "TERM-vetoed" => self.vetoed(SignalAction::Stop, Sig::TERM),
            other => panic!("no such event: {other}"),
        }
    }

    fn vetoed(&mut self, what: SignalAction, signal: Sig) -> Event {
        self.no = Some(HookPoint::Pre(signal));
        self.request(what, Some(signal))
    }

    fn request(&mut self, what: SignalAction, signal: Option<Sig>) -> Event {
        self.tickets += 1;
        Event::Request(Request { ticket: Ticket(self.tickets), what, signal, wait: Wait::Nobody })
    }

    fn client(&mut self, what: SignalAction, wait: Wait) -> Event {
        self.tickets += 1;
        Event::Request(Request { ticket: Ticket(self.tickets), what, signal: None, wait })
    }
}

fn exit(text: &str) -> Exit {
    match Sig::parse(text).filter(|_| text.parse::<u8>().is_err()) {
        Some(signal) => Exit::Signal(signal),
        None => Exit::Code(text.parse().unwrap()),
    }
}

/// An action as the tables write it; nothing for a report.
fn words(action: &Action) -> Option<String> {
    Some(match action {
        Action::Spawn { generation, seats: Seats::Fresh } => format!("spawn {generation}"),
        Action::Spawn { generation, seats: Seats::Of(old) } => format!("spawn {generation} on the seats of {old}"),
        Action::Steer(id) => format!("steer {id}"),
        Action::Drain(id) => format!("drain {id}"),
        Action::Stop(id, reason) => format!("stop {id} {reason:?}").to_lowercase(),
        Action::ShutSeats(id) => format!("shut {id}"),
        Action::Kill(id) => format!("kill {id}"),
        Action::Release(id) => format!("release {id}"),
        Action::Forward(id, signal) => format!("forward {id} {}", signal.name()),
        Action::Reopen => "reopen".to_owned(),
        Action::Suspend => "suspend".to_owned(),
        Action::Answer(ticket, outcome) => format!("answer {} {}", ticket.0, outcome_words(outcome)),
        Action::Finish(code) => format!("finish {code}"),
        Action::RunHooks { .. } | Action::Reread | Action::Upgrade | Action::Report(_) => return None,
    })
}

fn outcome_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(Some(id)) => format!("done {id}"),
        Outcome::Done(None) => "done".to_owned(),
        Outcome::Failed(failure) => format!("failed: {failure}"),
    }
}
