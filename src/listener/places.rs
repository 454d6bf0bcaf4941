//! Places in the list of listeners: in which order, and whether one is among them. Pure.

use serde::{Deserialize, Serialize};

/// Some of the listeners, by their places in the list. Written down as the places in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<usize>", into = "Vec<usize>")]
pub(super) struct Places {
    order: Vec<usize>,
    /// For each place of the list, as far as it goes: of thousands each is asked about at every restart.
    among: Vec<bool>,
}

impl Places {
    /// One more, behind the others.
    pub(super) fn push(&mut self, at: usize) {
        self.order.push(at);
        if self.among.len() <= at {
            self.among.resize(at + 1, false);
        }
        self.among[at] = true;
    }

    /// Whether this place is one of them.
    pub(super) fn contains(&self, at: usize) -> bool {
        self.among.get(at) == Some(&true)
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = usize> {
        self.order.iter().copied()
    }
}

impl FromIterator<usize> for Places {
    fn from_iter<I: IntoIterator<Item = usize>>(all: I) -> Places {
        let mut places = Places::default();
        all.into_iter().for_each(|at| places.push(at));
        places
    }
}

impl From<Vec<usize>> for Places {
    fn from(order: Vec<usize>) -> Places {
        order.into_iter().collect()
    }
}

impl From<Places> for Vec<usize> {
    fn from(places: Places) -> Vec<usize> {
        places.order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_keep_their_order_and_know_who_is_among_them() {
        let places: Places = [7, 2, 4].into_iter().collect();
        assert!(places.iter().eq([7, 2, 4]));
        let among: Vec<usize> = (0..10).filter(|at| places.contains(*at)).collect();
        assert_eq!(among, [2, 4, 7]);
        assert!(!Places::default().contains(0));
    }

    #[test]
    fn they_are_written_down_as_a_list() {
        let places: Places = [7, 2].into_iter().collect();
        let text = serde_json::to_string(&places).unwrap();
        assert_eq!(text, "[7,2]");
        assert_eq!(serde_json::from_str::<Places>(&text).unwrap(), places);
    }
}
