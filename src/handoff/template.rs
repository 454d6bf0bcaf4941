//! Templates in the target's arguments and in the values of `--env`: `{fd}`, `{addr:NAME}` and the like.

use crate::listener::Bound;
use crate::plan::HandoffPlan;
use crate::words::GenerationId;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What templates stand for in one copy.
///
/// Without a NAME the first listener is meant. NAME is a listener's name or its address as typed. What is not a template,
/// or names no listener, or asks a Unix socket for its host or port, is left as it stands.
#[derive(Debug)]
pub struct Template<'a> {
    on: bool,
    held: &'a [Bound],
    numbers: &'a [i32],
    generation: GenerationId,
    places: OnceCell<HashMap<&'a [u8], usize>>,
}

impl<'a> Template<'a> {
    /// The templates of one copy; `numbers` are those of [`HandoffPlan::numbers`]. With `--no-expand` nothing is replaced.
    #[must_use]
    pub fn new(plan: &HandoffPlan, held: &'a [Bound], numbers: &'a [i32], generation: GenerationId) -> Template<'a> {
        Template { on: plan.expand, held, numbers, generation, places: OnceCell::new() }
    }

    /// Replaces every template in the text.
    #[must_use]
    pub fn expand(&self, text: &OsStr) -> OsString {
        let mut rest = text.as_bytes();
        if !self.on || !rest.contains(&b'{') {
            return text.to_owned();
        }
        let mut out = Vec::with_capacity(rest.len() + 16);
        while let Some(open) = rest.iter().position(|byte| *byte == b'{') {
            out.extend_from_slice(&rest[..open]);
            rest = &rest[open + 1..];
            let end = rest.iter().position(|byte| matches!(byte, b'{' | b'}'));
            let inside = end.filter(|end| rest[*end] == b'}').map(|end| &rest[..end]);
            match inside.and_then(|inside| Some((inside.len(), self.meaning(inside)?))) {
                Some((length, meaning)) => {
                    out.extend_from_slice(&meaning);
                    rest = &rest[length + 1..];
                }
                None => out.push(b'{'),
            }
        }
        out.extend_from_slice(rest);
        OsString::from_vec(out)
    }

    fn meaning(&self, inside: &[u8]) -> Option<Vec<u8>> {
        let colon = inside.iter().position(|byte| *byte == b':');
        let (what, name) = colon.map_or((inside, None), |at| (&inside[..at], Some(&inside[at + 1..])));
        match (what, name) {
            (b"generation", None) => return Some(self.generation.to_string().into_bytes()),
            (b"worker", None) => return Some(b"0".to_vec()),
            _ => {}
        }
        let place = || name.map_or(Some(0), |name| self.place(name));
        let address = |place: usize| self.held.get(place).map(|held| &held.address);
        match what {
            b"fd" => Some(self.numbers.get(place()?)?.to_string().into_bytes()),
            b"addr" => Some(address(place()?)?.plain().into_vec()),
            b"host" => Some(address(place()?)?.inet()?.ip().to_string().into_bytes()),
            b"port" => Some(address(place()?)?.inet()?.port().to_string().into_bytes()),
            _ => None,
        }
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        self.places.get_or_init(|| self.index()).get(name).copied()
    }

    fn index(&self) -> HashMap<&'a [u8], usize> {
        let mut places = HashMap::with_capacity(2 * self.held.len());
        for (place, held) in self.held.iter().enumerate() {
            places.insert(held.name.as_bytes(), place);
        }
        for (place, held) in self.held.iter().enumerate() {
            places.entry(held.typed.as_bytes()).or_insert(place);
        }
        places
    }
}
