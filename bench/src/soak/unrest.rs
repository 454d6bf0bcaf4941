//! What happens to one endless, at random.

use super::dice::Dice;
use super::instance::Instance;
use super::pulse;
use crate::Result;
use crate::client::Connection;
use crate::system;
use std::collections::BTreeMap;
use std::io::Read;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Restart,
    Burst,
    Client,
    Leaver,
    Status,
    Rude,
    Fail,
    Hang,
    Crash,
    CrashOfTheNew,
    Hammer,
    Upgrade,
}

const DEEDS: &[Deed] = {
    use Deed::*;
    &[Restart, Restart, Burst, Client, Client, Leaver, Status, Rude, Fail, Hang, Crash, CrashOfTheNew, Hammer, Upgrade]
};

/// A client of the control socket has its answer by then: a restart, one before it, and their candidates that hang.
const PATIENCE: u64 = 30_000_000_000;

/// A machine on which nothing runs, or no process starts and ends, for so long may keep a copy from being ready in time.
const STANDSTILL: u64 = 1_000_000_000;

/// How often what was done, and what went wrong.
#[derive(Default)]
pub struct Diary {
    pub done: BTreeMap<&'static str, u64>,
    /// What clients were told who had to expect that they fail.
    pub failed: BTreeMap<String, u64>,
    pub wrong: Vec<String>,
}

impl Diary {
    /// Waits for a client's end. `well` is the status it has to have, if that is known.
    fn wait(&mut self, mut client: Child, what: &str, well: Option<bool>) {
        let began = system::now();
        let (mut last, mut stood_still) = (began, 0);
        let status = loop {
            let now = system::now();
            stood_still = (now - last).max(stood_still);
            last = now;
            match client.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if now < began + PATIENCE => sleep(Duration::from_millis(2)),
                _ => {
                    let _ = client.kill();
                    let _ = client.wait();
                    return self.wrong.push(format!("endless {what} was left waiting"));
                }
            }
        };
        match (status.success(), well) {
            (true, Some(false)) => self.wrong.push(format!("endless {what} ended well, which cannot be")),
            (true, _) => (),
            (false, well) => {
                let why = reason(&mut client);
                let stood_still = stood_still.max(pulse::longest(began, last));
                let late = why.contains("not ready") && stood_still >= STANDSTILL;
                if well == Some(true) && !late {
                    let [took, still] = [last - began, stood_still].map(|nanos| nanos / 1_000_000);
                    let pid = client.id(); // endless logs it with the request
                    self.wrong.push(format!(
                        "endless {what} (pid {pid}): {status} after {took} ms (nothing ran for {still}): {why}"
                    ));
                } else {
                    let late = if late { "while the machine stood still, " } else { "" };
                    *self.failed.entry(format!("{late}{what}: {why}")).or_default() += 1;
                }
            }
        }
    }
}

/// Why a client failed, as it says, without its own words and the name.
fn reason(client: &mut Child) -> String {
    let mut said = String::new();
    if let Some(mut errors) = client.stderr.take() {
        let _ = errors.read_to_string(&mut said);
    }
    let said = said.trim().replace('\n', "; ");
    said.split_once(" failed: ").map_or(said.as_str(), |(_, why)| why).to_owned()
}

/// Who does it, and what has to be remembered from one thing to the next.
struct Unrest<'i, 't> {
    instance: &'i Instance<'t>,
    dice: Dice,
    diary: Diary,
    /// How many copies were killed lately, and when the last was.
    crashes: (u32, u64),
    /// Half a request to endless that is never ended.
    half: Option<Connection>,
}

/// Does one thing after the other until the deadline (`system::now`).
pub fn disturb(instance: &Instance<'_>, dice: Dice, deadline: u64) -> Diary {
    let mut unrest = Unrest { instance, dice, diary: Diary::default(), crashes: (0, 0), half: None };
    while system::now() < deadline {
        let deed = unrest.dice.one_of(DEEDS);
        match unrest.act(deed) {
            Ok(Some(done)) => *unrest.diary.done.entry(done).or_default() += 1,
            Ok(None) => (),
            Err(error) => unrest.diary.wrong.push(format!("{deed:?}: {error}")),
        }
        // Sometimes the next thing comes at once, and sometimes when all is over.
        let pause = unrest.dice.one_of(&[1, 300, 1000, 6000]);
        sleep(unrest.dice.within(pause));
    }
    unrest.diary
}

impl Unrest<'_, '_> {
    /// What was done, if anything.
    fn act(&mut self, deed: Deed) -> Result<Option<&'static str>> {
        let done = match deed {
            Deed::Restart => {
                self.instance.signal(libc::SIGHUP);
                "SIGHUP"
            }
            Deed::Burst => {
                for _ in 0..2 + self.dice.below(20) {
                    self.instance.signal(libc::SIGHUP);
                    sleep(self.dice.within(40));
                }
                "burst of SIGHUPs"
            }
            Deed::Client => {
                let until = [&["restart"][..], &["restart", "--active"], &["restart", "--drained"]];
                let until = self.dice.one_of(&until);
                self.ask(until, Some(true))?;
                "`endless restart`"
            }
            Deed::Leaver => self.leave()?,
            Deed::Status => {
                self.ask(&["status"], Some(true))?;
                "`endless status`"
            }
            Deed::Rude => {
                let opened = Connection::open(&self.instance.control()).map_err(|loss| format!("control: {loss:?}"))?;
                self.half.insert(opened).begin();
                "half a request to endless"
            }
            Deed::Fail => self.fail()?,
            Deed::Hang => self.hang()?,
            Deed::Crash if self.may_crash() => {
                self.crash();
                "SIGKILL of the active copy"
            }
            Deed::CrashOfTheNew if self.may_crash() => {
                self.ask(&["restart", "--active"], Some(true))?;
                sleep(self.dice.within(200));
                self.crash();
                "SIGKILL of the new copy"
            }
            Deed::Hammer => self.hammer()?,
            Deed::Upgrade if self.instance.setup.upgraded => self.upgrade()?,
            Deed::Crash | Deed::CrashOfTheNew | Deed::Upgrade => return Ok(None),
        };
        Ok(Some(done))
    }

    /// A client, to its end. `well` says whether it has to end with 0, if that is known.
    fn ask(&mut self, words: &[&str], well: Option<bool>) -> Result<()> {
        let client = self.instance.client(words)?;
        self.diary.wait(client, &words.join(" "), well);
        Ok(())
    }

    /// A client that does not wait for its answer.
    fn leave(&mut self) -> Result<&'static str> {
        if self.dice.below(2) == 0 {
            self.ask(&["restart", "--timeout", "20ms"], None)?;
        } else {
            let mut client = self.instance.client(&["restart", "--drained"])?;
            sleep(self.dice.within(400));
            client.kill()?;
            client.wait()?;
        }
        Ok("client that leaves")
    }

    fn upgrade(&mut self) -> Result<&'static str> {
        if self.dice.below(2) == 0 {
            self.instance.signal(libc::SIGHUP);
        }
        self.ask(&["upgrade"], Some(true))?;
        Ok("`endless upgrade`")
    }

    fn fail(&mut self) -> Result<&'static str> {
        self.instance.wait_for_active()?;
        self.instance.copies_shall("fail")?;
        self.ask(&["restart"], Some(false))?;
        self.instance.copies_shall("serve")?;
        Ok("candidate that fails")
    }

    /// A candidate that hangs, and what may happen meanwhile.
    fn hang(&mut self) -> Result<&'static str> {
        self.instance.wait_for_active()?;
        self.instance.copies_shall("hang")?;
        let client = self.instance.client(&["restart"])?;
        sleep(self.dice.within(1500));
        match self.dice.below(4) {
            0 => self.instance.signal(libc::SIGHUP),
            1 => {
                let client = self.instance.client(&["hammer"])?;
                self.instance.killing(|| self.diary.wait(client, "hammer", None));
            }
            2 if self.may_crash() => {
                self.crash();
                self.instance.copies_shall("serve")?;
            }
            _ => (),
        }
        self.diary.wait(client, "restart of what hangs", None);
        self.instance.copies_shall("serve")?;
        Ok("candidate that hangs")
    }

    fn hammer(&mut self) -> Result<&'static str> {
        if self.dice.below(2) == 0 {
            self.instance.signal(libc::SIGHUP);
            sleep(self.dice.within(600));
        }
        let client = self.instance.client(&["hammer"])?;
        self.instance.killing(|| self.diary.wait(client, "hammer", None));
        Ok("hammer")
    }

    /// SIGKILL to the main process of the active generation.
    fn crash(&mut self) {
        if let Some(copy) = self.instance.active() {
            self.instance.kill(copy);
        }
        self.crashes = (self.crashes.0 + 1, system::now());
    }

    /// Some in a row, and then none for longer than a minute, for the pause before a respawn doubles each time until then,
    /// and clients must not have to wait for longer than they are willing to.
    fn may_crash(&mut self) -> bool {
        if system::now() - self.crashes.1 > 70_000_000_000 {
            self.crashes.0 = 0;
        }
        self.crashes.0 < 4
    }
}
