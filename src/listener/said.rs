//! What is said about listeners: one line each, or one line for all when they are many.

use super::port::{Listener, Sharing};
use super::unix_path::Custody;
use crate::notice::{Level, Notice};
use nix::errno::Errno;
use std::collections::BTreeMap;

/// More listeners than this are told about together.
const ONE_BY_ONE: usize = 32;

/// Tells that the listeners are open.
pub(super) fn opened(listeners: &[Listener], sharing: &[Sharing]) -> Vec<Notice> {
    let mut notices = Vec::new();
    if listeners.len() > ONE_BY_ONE {
        notices.push(note(Level::Normal, format!("listening at {} addresses", listeners.len())));
        let mut shared = BTreeMap::new();
        for sharing in sharing {
            if let Sharing::Always(why) = sharing {
                *shared.entry(*why).or_insert(0) += 1;
            }
        }
        for (why, number) in shared {
            let text = format!("all generations share one socket at {number} of them: {why}");
            notices.push(note(Level::Normal, text));
        }
    }
    if sharing.contains(&Sharing::TooMany) {
        let which = match listeners {
            [one] => one.bound.name.to_string(),
            _ => "each listener".to_owned(),
        };
        let text = format!(
            "old and new copies share one socket at {which}: a second set of sockets would not fit the hard limit of open \
             files (ulimit -Hn)"
        );
        notices.push(note(Level::Normal, text));
    }
    let refused = listeners.iter().zip(sharing).filter_map(|(listener, sharing)| match sharing {
        Sharing::Refused(why) => Some((listener, why)),
        _ => None,
    });
    for (listener, why) in refused.take(ONE_BY_ONE) {
        notices.push(Notice::Shared { name: listener.bound.name.to_string(), why: why.clone() });
    }
    if listeners.len() <= ONE_BY_ONE {
        for (listener, sharing) in listeners.iter().zip(sharing) {
            let shared = match sharing {
                Sharing::None | Sharing::TooMany => None,
                Sharing::Always(why) => Some((*why).to_owned()),
                Sharing::Refused(why) => Some(why.clone()),
            };
            let (name, address) = (listener.bound.name.to_string(), listener.bound.address.to_string());
            notices.push(Notice::Listening { name, address, shared });
        }
    }
    notices
}

/// Tells what became of a listener's Unix path, when it is not as it was left.
pub(super) fn custody(listener: &Listener, custody: Custody) -> Option<Notice> {
    let path = listener.bound.address.to_string();
    match custody {
        Custody::Kept => None,
        Custody::Restored(what) => Some(Notice::PathRestored { path, what }),
        Custody::Lost(why) => Some(note(Level::Problem, format!("{path} does not lead to the active copy: {why}"))),
    }
}

/// Tells that new connections could not be sent to another seat.
pub(super) fn not_steered(listener: &Listener, errno: Errno) -> Notice {
    let text = format!("cannot steer new connections of {}: {}", listener.bound.name, errno.desc());
    note(Level::Problem, text)
}

fn note(level: Level, text: String) -> Notice {
    Notice::Note { level, text }
}
