//! What goes into the supervisor and what comes out of it.

use crate::notice::Notice;
use crate::plan::{Lifecycle, SignalAction};
use crate::words::{Exit, Failure, GenerationId, HookPoint, ReadySign, Sig};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The number of one request. Every request gets exactly one [`Action::Answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// The number of one run of the hooks of one [`HookPoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HookRun(pub u64);

/// What somebody asks of endless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its number.
    pub ticket: Ticket,
    /// What is asked for.
    pub what: SignalAction,
    /// The signal whose `pre:` and `post:` hooks run around it: the one it came by, or the one that asks for the same.
    pub signal: Option<Sig>,
    /// Who waits for what before it is answered.
    pub wait: Wait,
}

/// What the asker waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// Nobody waits: it came by a signal. Only such a stop hammers when it is the second one.
    Nobody,
    /// A restart: the new generation is active.
    Active,
    /// What was asked for is done; a restart: the new generation has passed its probation.
    Done,
    /// And the generations that it sends away are gone.
    Gone,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Everything is bound; the first generation may start.
    Begin,
    /// Somebody asks for something.
    Request(Request),
    /// The hooks of this run are done, or one of them said no.
    HooksDone {
        /// Which run.
        run: HookRun,
        /// The reason for the no.
        result: Result<(), String>,
    },
    /// The configuration was read again, as [`Action::Reread`] asked: what to decide by from the next generation on, or why
    /// it cannot be used.
    Reread(Result<Box<Lifecycle>, String>),
    /// The generation's main process executes the target.
    Started(GenerationId),
    /// It could not be made or could not execute the target. `Gone` follows.
    NotStarted(GenerationId, Failure),
    /// It serves.
    Ready(GenerationId, ReadySign),
    /// Its main process ended. `Gone` follows when the whole tree is gone, at once or later.
    Exited(GenerationId, Exit),
    /// The whole tree is gone. Exactly one for every `Spawn`.
    Gone(GenerationId),
    /// What its drain waits for is over.
    Drained(GenerationId),
    /// It said something about itself.
    Heard(GenerationId, Word),
    /// endless was replaced, as [`Action::Upgrade`] asked, or was not and why.
    Upgraded(Result<(), String>),
    /// A deadline may have passed.
    Tick,
}

/// What a copy says about itself while it runs (sd_notify(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// WATCHDOG=1.
    Alive,
    /// WATCHDOG_USEC=…: the same, and how often it will say so from now on, at the least.
    AliveEvery(Duration),
    /// WATCHDOG=trigger.
    Stuck,
    /// EXTEND_TIMEOUT_USEC=…: what it is waited for takes at least this much longer.
    MoreTime(Duration),
}

/// Where a new generation's seats come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seats {
    /// New ones beside the others'.
    Fresh,
    /// Those of this generation, which has ended; their queues come with them.
    Of(GenerationId),
}

/// Why a generation is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Another took its place: the retire signal.
    Retired,
    /// endless stops: the stop signal.
    Stopped,
    /// Its main process ended: the stop signal for what it left behind, if anything.
    Survived,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done; for a restart: this generation is active and has passed its probation.
    Done(Option<GenerationId>),
    /// Not done.
    Failed(Failure),
}

/// What a hook is told beside the pids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HookContext {
    /// The generation it is about.
    pub generation: Option<GenerationId>,
    /// The generation before it.
    pub old: Option<GenerationId>,
    /// Why: the failure, or what was asked for.
    pub reason: String,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run the hooks of this point; answered by [`Event::HooksDone`], at once when there are none.
    RunHooks {
        /// The number to answer with.
        run: HookRun,
        /// Which hooks.
        point: HookPoint,
        /// What they are told.
        context: HookContext,
    },
    /// Read the configuration again, for the next generation; answered by [`Event::Reread`].
    Reread,
    /// Start a generation; answered by `Started` or `NotStarted`.
    Spawn {
        /// Its number.
        generation: GenerationId,
        /// Its seats.
        seats: Seats,
    },
    /// New connections go to this generation's seats from now on.
    Steer(GenerationId),
    /// Watch for the end of its drain; answered by `Drained`.
    Drain(GenerationId),
    /// Send it its stop signal.
    Stop(GenerationId, StopReason),
    /// Shut its own seats down, so that an accept it is stuck in returns.
    ShutSeats(GenerationId),
    /// SIGKILL to its whole tree.
    Kill(GenerationId),
    /// It is gone and nobody needs its seats: close them.
    Release(GenerationId),
    /// Send this signal to its main process.
    Forward(GenerationId, Sig),
    /// Open the files of the log, the events and the output again.
    Reopen,
    /// Job control: it comes back when endless is continued.
    Suspend,
    /// Replace endless itself as soon as [`super::Supervisor::calm`]; answered by [`Event::Upgraded`], which may come from the
    /// supervisor's other life.
    Upgrade,
    /// Answer a request.
    Answer(Ticket, Outcome),
    /// Tell this.
    Report(Notice),
    /// Exit with this status. The last action of all.
    Finish(u8),
}
