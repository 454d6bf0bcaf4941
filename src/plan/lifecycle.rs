//! The durations and policies of a generation's life: probation, retirement, hammer, respawn.

use super::error::{Error, Fault};
use super::value;
use crate::cli::{ReadinessArgs, RetirementArgs};
use crate::words::Sig;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the supervisor decides by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// `--ready-timeout`: a candidate not ready by then has failed. None: it may take for ever.
    pub ready_timeout: Option<Duration>,
    /// `--probation`: how long the older generation stands guard after a new one became active.
    pub probation: Duration,
    /// `--supersede`: a candidate older than this is replaced by the next restart at once. None: never.
    pub supersede: Option<Duration>,
    /// `--max-retiring`: with more old generations than this the oldest is hammered.
    pub max_retiring: usize,
    /// `--drain`.
    pub drain: Drain,
    /// `--hammer`: SIGKILL this long after the retirement began. None: never.
    pub hammer: Option<Duration>,
    /// `--watchdog`: how often the active generation is to say that it is alive. None: it need not.
    pub watchdog: Option<Duration>,
    /// `--respawn`: what to do when the active generation ends by itself.
    pub respawn: Respawn,
    /// `--respawn-limit N/DUR`: give up after more than N ends in DUR. None: never give up.
    pub respawn_limit: Option<(u32, Duration)>,
    /// `--config`: a restart reads all of this again.
    pub rereads: bool,
}

/// `--drain MODE[=DUR]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// What to wait for before the stop signal.
    pub mode: DrainMode,
    /// The longest wait; then the stop signal is sent all the same.
    pub limit: Duration,
}

/// What an old generation is waited for before its stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DrainMode {
    /// Nothing: the stop signal follows at once.
    Off,
    /// Its accept queues are empty and the handshakes that were half open at the flip are done.
    Queue,
    /// And no connection of it is in the middle of a request.
    Quiet,
    /// And connections that are not are closed between requests.
    Soft,
}

/// `--respawn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Respawn {
    /// After a failure; a clean exit ends endless with 0.
    OnFailure,
    /// After every end.
    Always,
    /// Not at all: endless ends with the target's code.
    Never,
}

/// How a generation is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retirement {
    /// `--stop-signal`.
    pub stop_signal: Sig,
    /// `--retire-signal`: the stop signal after a restart; by default the same.
    pub retire_signal: Sig,
    /// `--kill-mode`.
    pub kill_mode: KillMode,
}

/// `--kill-mode`: which processes of a copy get which signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillMode {
    /// The stop signal to the main process, SIGKILL to the whole tree.
    Mixed,
    /// Both to the whole tree.
    Group,
    /// Both to the main process only; what it leaves behind lives on.
    Process,
}

/// Reads the durations and policies.
pub(super) fn read(restart: &ReadinessArgs, retire: &RetirementArgs) -> Result<Lifecycle, Error> {
    let seconds = Duration::from_secs;
    let never = |flag, given: &Option<String>, default| {
        value::or(flag, given.as_deref(), Some(seconds(default)), value::duration_or_never)
    };
    let ends = [("on-failure", Respawn::OnFailure), ("always", Respawn::Always), ("never", Respawn::Never)];
    let probation = never("--probation", &restart.probation, 2)?;
    let lifecycle = Lifecycle {
        ready_timeout: never("--ready-timeout", &restart.ready_timeout, 90)?,
        probation: probation.unwrap_or_default(),
        supersede: never("--supersede", &restart.supersede, 5)?,
        max_retiring: value::or("--max-retiring", restart.max_retiring.as_deref(), 8, |text| {
            value::number(text, 1, 1_000_000)
        })?,
        drain: value::or("--drain", retire.drain.as_deref(), QUIET, drain)?,
        hammer: never("--hammer", &retire.hammer, 60)?,
        watchdog: value::or("--watchdog", restart.watchdog.as_deref(), None, watchdog)?,
        respawn: value::or("--respawn", restart.respawn.as_deref(), Respawn::OnFailure, |text| {
            value::one_of(text, &ends)
        })?,
        respawn_limit: value::or(
            "--respawn-limit",
            restart.respawn_limit.as_deref(),
            Some((5, seconds(60))),
            respawn_limit,
        )?,
        rereads: false,
    };
    if let (Respawn::Never, Some(text)) = (lifecycle.respawn, &restart.respawn_limit) {
        let fault = Fault::new("nothing is respawned with --respawn never", "take one of them away");
        return Err(fault.at("--respawn-limit", text));
    }
    Ok(lifecycle)
}

/// The default drain.
const QUIET: Drain = Drain { mode: DrainMode::Quiet, limit: Duration::from_secs(10) };

fn drain(text: &str) -> Result<Drain, Fault> {
    const MODES: &str = "off, queue[=DUR], quiet[=DUR] or soft[=DUR]";
    let (mode, limit) = text.split_once('=').map_or((text, None), |(mode, limit)| (mode, Some(limit)));
    let mode = match mode {
        "off" if limit.is_some() => {
            return Err(Fault::new("`off` waits for nothing, so it takes no duration", MODES));
        }
        "off" => return Ok(Drain { mode: DrainMode::Off, limit: Duration::ZERO }),
        "queue" => DrainMode::Queue,
        "quiet" => DrainMode::Quiet,
        "soft" => DrainMode::Soft,
        _ => return Err(Fault::new(format!("there is no drain mode `{text}`"), MODES)),
    };
    Ok(Drain { mode, limit: limit.map_or(Ok(QUIET.limit), value::duration)? })
}

fn watchdog(text: &str) -> Result<Option<Duration>, Fault> {
    match value::duration_or_never(text)? {
        Some(interval) if interval < Duration::from_millis(10) => {
            Err(Fault::new("nobody can say so often that it is alive", "10s, for example; off for no watchdog"))
        }
        interval => Ok(interval),
    }
}

fn respawn_limit(text: &str) -> Result<Option<(u32, Duration)>, Fault> {
    if value::is_off(text) {
        return Ok(None);
    }
    let hint = "N/DUR, such as 5/1m; off for no limit";
    let (count, within) = text.split_once('/').ok_or_else(|| Fault::new(format!("`{text}` is not N/DUR"), hint))?;
    let count = value::number(count, 1, u32::MAX).map_err(|fault| Fault::new(fault.reason, hint))?;
    let within = value::duration(within).map_err(|fault| Fault::new(fault.reason, hint))?;
    if within.is_zero() {
        return Err(Fault::new("within no time nothing ends", hint));
    }
    Ok(Some((count, within)))
}

impl Retirement {
    /// Reads `--stop-signal`, `--retire-signal` and `--kill-mode`. `brought`: the stop signal of the protocols in use.
    pub(super) fn read(
        args: &RetirementArgs,
        brought: impl FnOnce() -> Result<Option<Sig>, Error>,
    ) -> Result<Retirement, Error> {
        let modes = [("mixed", KillMode::Mixed), ("group", KillMode::Group), ("process", KillMode::Process)];
        let default = if args.stop_signal.is_none() { brought()?.unwrap_or(Sig::TERM) } else { Sig::TERM };
        let stop_signal = value::or("--stop-signal", args.stop_signal.as_deref(), default, read_stop)?;
        Ok(Retirement {
            stop_signal,
            retire_signal: value::or("--retire-signal", args.retire_signal.as_deref(), stop_signal, read_stop)?,
            kill_mode: value::or("--kill-mode", args.kill_mode.as_deref(), KillMode::Mixed, |text| {
                value::one_of(text, &modes)
            })?,
        })
    }
}

/// A signal a target can end gracefully by.
fn read_stop(text: &str) -> Result<Sig, Fault> {
    match value::signal(text)? {
        Sig::KILL => Err(Fault::new(
            "SIGKILL leaves the target no time to end",
            "a signal it can handle, such as TERM; --hammer 0 kills at once",
        )),
        Sig::STOP => Err(Fault::new(
            "SIGSTOP halts the target and never ends it",
            "a signal it can handle, such as TERM, INT or QUIT",
        )),
        signal => Ok(signal),
    }
}
