//! examples/container: what the image, compose and Kubernetes start is accepted, and endless has the time to end by itself.

use super::lines::accept;
use super::read;

/// Every list of words in a file, such as `ENTRYPOINT ["endless", "--"]` or `args: ["server"]`, with what stands before it.
fn lists(file: &str) -> Vec<(String, Vec<String>)> {
    let text = read(&format!("examples/container/{file}"));
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let parts = lines.filter_map(|line| line.split_once("[\"").map(|(key, rest)| (key, format!("[\"{rest}"))));
    let parts = parts.map(|(key, list)| {
        let list = list.trim_end_matches('}');
        let words = serde_json::from_str(list).unwrap_or_else(|error| panic!("{file}: {list}: {error}"));
        (key.trim().to_owned(), words)
    });
    parts.collect()
}

/// The one list with this before it.
fn list(file: &str, key: &str) -> Vec<String> {
    let found = lists(file).into_iter().find(|(before, _)| before == key);
    found.unwrap_or_else(|| panic!("{file} has no {key}")).1
}

/// The number that follows a word.
fn number(file: &str, word: &str) -> u64 {
    let text = read(&format!("examples/container/{file}"));
    let rest = text.split(word).nth(1).unwrap_or_else(|| panic!("{file} has no {word}"));
    let digits = rest.trim_start().chars().take_while(char::is_ascii_digit).collect::<String>();
    digits.parse().unwrap_or_else(|error| panic!("{file}: {word}: {error}"))
}

fn hammer() -> u64 {
    let words = list("Dockerfile", "ENTRYPOINT");
    let at = words.iter().position(|word| word == "--hammer").unwrap_or_else(|| panic!("there is no --hammer"));
    words[at + 1].trim_end_matches('s').parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_started_is_accepted() {
    let front = list("Dockerfile", "ENTRYPOINT");
    for (file, key) in [("Dockerfile", "CMD"), ("compose.yaml", "command:"), ("kubernetes.yaml", "args:")] {
        let words = [front.clone(), list(file, key)].concat();
        assert_eq!(words[front.len() - 1], "--", "{words:?}");
        accept(file, &words);
    }
    for (file, key) in [("Dockerfile", "HEALTHCHECK --interval=10s CMD"), ("kubernetes.yaml", "exec: {command:")] {
        accept(file, &list(file, key));
    }
}

#[test]
fn the_hammer_falls_before_the_runtime_kills() {
    assert!(number("compose.yaml", "stop_grace_period:") > hammer());
    let pre_stop = lists("kubernetes.yaml").into_iter().find(|(_, words)| words[0] == "sleep").unwrap_or_default().1;
    let pre_stop: u64 = pre_stop[1].parse().unwrap_or_else(|error| panic!("{error}"));
    assert!(number("kubernetes.yaml", "terminationGracePeriodSeconds:") > pre_stop + hammer());
}
