//! The protocol `einhorn`, as einhorn's workers read it: EINHORN_FD_COUNT, EINHORN_FD_0 and so on, EINHORN_MASTER_PID, which
//! they compare with their parent's pid, and EINHORN_CHILD_INDEX. EINHORN_FDS is an older form that socketmaster gives too.
//!
//! EINHORN_SOCK_PATH, where a worker says `worker:ack`, is set with the socket itself. Here: what a line on it means.

use super::{Facts, Variable, plain};

/// All of them but EINHORN_SOCK_PATH.
pub(super) fn variables(facts: &Facts<'_>) -> Vec<Variable> {
    let mut all = vec![
        plain("EINHORN_FD_COUNT", facts.numbers.len().to_string()),
        plain("EINHORN_MASTER_PID", facts.endless.to_string()),
        plain("EINHORN_CHILD_INDEX", "0"),
        plain("EINHORN_FDS", facts.joined(" ")),
    ];
    for (place, number) in facts.numbers.iter().enumerate() {
        all.push((format!("EINHORN_FD_{place}").into(), Ok(number.to_string().into())));
    }
    all
}

/// The pid in a `worker:ack` line, in either form: JSON, or YAML over several lines with `%0A` for their ends and `%25` for `%`.
/// None for anything else.
#[must_use]
pub fn acked(line: &str) -> Option<i32> {
    let text = line.replace("%0A", "\n").replace("%0a", "\n").replace("%25", "%");
    let flow = text.trim().trim_start_matches('{').trim_end_matches('}');
    let (mut command, mut pid) = (None, None);
    for pair in flow.split([',', '\n']) {
        let Some((key, value)) = pair.split_once(": ").or(pair.split_once(':')) else { continue };
        let plain = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        match plain(key).as_str() {
            "command" => command = Some(plain(value)),
            "pid" => pid = plain(value).parse().ok(),
            _ => {}
        }
    }
    pid.filter(|_| command.as_deref() == Some("worker:ack"))
}

#[cfg(test)]
mod tests {
    use super::acked;

    #[test]
    fn both_forms_of_the_message() {
        assert_eq!(acked(r#"{"command":"worker:ack","pid":123}"#), Some(123));
        assert_eq!(acked(r#"{"pid": 7, "command": "worker:ack"}"#), Some(7));
        assert_eq!(acked("---%0Acommand: worker:ack%0Apid: 123%0A"), Some(123));
        for other in
            ["", "{}", r#"{"command":"worker:ping","pid":1}"#, r#"{"command":"worker:ack"}"#, "command: worker:ack"]
        {
            assert_eq!(acked(other), None, "{other}");
        }
    }
}
