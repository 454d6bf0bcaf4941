//! The protocol `systemd` (sd_listen_fds(3)): LISTEN_FDS, LISTEN_FDNAMES, and LISTEN_PID, which the child sets itself.
//!
//! It counts descriptors from 3 on without a gap. A listener that `fd=N` puts outside that row is not counted and has no
//! name here: the target has to know its number, by `{fd:NAME}` for example. With `-l a=:80 -l b=:81,fd=9` LISTEN_FDS is 1.

use super::{Facts, Variable, plain};

/// LISTEN_FDS and LISTEN_FDNAMES, for the descriptors from 3 on up to the first gap; those that copies have left come last.
pub(super) fn variables(facts: &Facts<'_>) -> [Variable; 2] {
    let row = row(facts.numbers);
    let listeners = row.iter().filter_map(|place| facts.held.get(*place)).map(|held| &*held.name);
    let all = || listeners.clone().chain(facts.stored.iter().copied());
    let mut names = String::with_capacity(all().map(|name| name.len() + 1).sum());
    for (count, name) in all().enumerate() {
        if count > 0 {
            names.push(':');
        }
        names.push_str(name);
    }
    [plain("LISTEN_FDS", (row.len() + facts.stored.len()).to_string()), plain("LISTEN_FDNAMES", names)]
}

/// The places of the listeners at 3, 4, 5…, in the order of their numbers, up to the first gap.
fn row(numbers: &[i32]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..numbers.len()).filter(|place| numbers[*place] >= 3).collect();
    places.sort_unstable_by_key(|place| numbers[*place]);
    let whole = places.iter().zip(3..).take_while(|(place, number)| numbers[**place] == *number).count();
    places.truncate(whole);
    places
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn the_row_ends_at_the_first_gap() {
        assert_eq!(row(&[3, 4, 5]), [0, 1, 2]);
        assert_eq!(row(&[4, 3, 9]), [1, 0]);
        assert_eq!(row(&[0, 9]), [0usize; 0]);
        assert_eq!(row(&[]), [0usize; 0]);
    }
}
