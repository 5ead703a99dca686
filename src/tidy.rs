//! Rules of the house that no lint knows: which layer may import which, how every file opens, how long files and
//! functions may get. Reads the sources as text; a violation fails the tests and says where.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may import (`crate::NAME`), lowest layer first. Imports go down only.
const LAYERS: &[(&str, &[&str])] = &[
    ("common", &[]),
    ("config", &["common"]),
    ("metrics", &["common"]),
    ("protocol", &["common"]),
    ("purgatory", &["common"]),
    ("record", &["common", "config"]),
    ("log", &["common", "config", "metrics", "record"]),
    ("network", &["common", "config", "metrics", "protocol"]),
    ("zk", &["common", "config", "metrics"]),
    ("metadata", &["common", "config", "protocol"]),
    (
        "cluster",
        &[
            "common",
            "config",
            "log",
            "metadata",
            "metrics",
            "protocol",
            "purgatory",
            "record",
        ],
    ),
    (
        "replica",
        &[
            "cluster",
            "common",
            "config",
            "log",
            "metadata",
            "metrics",
            "network",
            "protocol",
            "purgatory",
            "record",
        ],
    ),
    (
        "admin",
        &[
            "common",
            "config",
            "metadata",
            "metrics",
            "protocol",
            "purgatory",
            "zk",
        ],
    ),
    (
        "controller",
        &[
            "common", "config", "metadata", "metrics", "network", "protocol", "zk",
        ],
    ),
    (
        "coordinator",
        &[
            "cluster",
            "common",
            "config",
            "log",
            "metadata",
            "metrics",
            "network",
            "protocol",
            "purgatory",
            "record",
            "replica",
            "zk",
        ],
    ),
    (
        "api",
        &[
            "admin",
            "cluster",
            "common",
            "config",
            "controller",
            "coordinator",
            "log",
            "metadata",
            "metrics",
            "network",
            "protocol",
            "purgatory",
            "record",
            "replica",
            "zk",
        ],
    ),
    (
        "broker",
        &[
            "admin",
            "api",
            "cluster",
            "common",
            "config",
            "controller",
            "coordinator",
            "log",
            "metadata",
            "metrics",
            "network",
            "protocol",
            "purgatory",
            "record",
            "replica",
            "zk",
        ],
    ),
    (
        "cli",
        &[
            "broker",
            "common",
            "config",
            "coordinator",
            "log",
            "network",
            "protocol",
            "record",
            "zk",
        ],
    ),
];

/// The crate `kafka-protocol` is touched by these alone; everybody else says `crate::protocol`.
const MAY_USE_KAFKA_PROTOCOL: &[&str] = &["protocol", "record"];

/// No file may be longer. Lower it when the longest files shrink, never raise it.
const FILE_LINES_MAX: usize = 600;
/// No function may be longer, tests and tables aside.
const FUNCTION_LINES_MAX: usize = 100;

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("src is readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("sources are text");
                found.push((path.strip_prefix(&root).expect("below src").to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// The module a file belongs to: its first folder, or its own name at the top.
fn module(path: &Path) -> String {
    let first = path
        .components()
        .next()
        .expect("a path has a component")
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The part of a file that is not tests.
fn production(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {")
        .map_or(text, |end| &text[..end])
}

fn is_test_file(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|c| c.as_os_str() == "tests")
}

#[test]
fn imports_go_down_only() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut violations = Vec::new();
    for (path, text) in sources() {
        let module = module(&path);
        let Some(allowed) = layers.get(module.as_str()) else {
            continue;
        };
        if is_test_file(&path) {
            continue;
        }
        for (number, line) in production(&text).lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for import in line.split("crate::").skip(1) {
                let name: String = import
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if name != module && !allowed.contains(&name.as_str()) {
                    violations.push(format!(
                        "{}:{}: {module} may not import {name}",
                        path.display(),
                        number + 1
                    ));
                }
            }
            if line.contains("kafka_protocol::") && !MAY_USE_KAFKA_PROTOCOL.contains(&module.as_str()) {
                violations.push(format!("{}:{}: say crate::protocol", path.display(), number + 1));
            }
        }
    }
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_file_says_what_it_owns() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(path, text)| !text.starts_with("//!") && !path.ends_with("lib.rs") && !is_test_file(path))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "without a header: {}", silent.join(", "));
}

#[test]
fn files_and_functions_stay_small() {
    let mut violations = Vec::new();
    for (path, text) in sources() {
        let lines = production(&text).lines().count();
        if lines > FILE_LINES_MAX && !is_test_file(&path) {
            violations.push(format!("{}: {lines} lines", path.display()));
        }
        if is_test_file(&path) {
            continue;
        }
        for (line, name, length) in functions(production(&text)) {
            if length > FUNCTION_LINES_MAX {
                violations.push(format!("{}:{line}: {name} has {length} lines", path.display()));
            }
        }
    }
    assert!(violations.is_empty(), "too long:\n{}", violations.join("\n"));
}

/// Line, name and length of each function. Relies on rustfmt: a body ends at a brace as deep as its `fn`.
fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().take(5).collect();
        let Some(at) = words.iter().position(|w| *w == "fn") else {
            continue;
        };
        if line.trim_start().starts_with("//") || line.trim_end().ends_with(';') {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[start..].iter().position(|l| *l == close) {
            found.push((
                start + 1,
                words.get(at + 1).unwrap_or(&"?").to_string(),
                length + 1,
            ));
        }
    }
    found
}

/// The numbers that a line cites as `fact 7` or `facts 39 and 77`.
fn cited_facts(line: &str) -> Vec<u32> {
    let mut cited = Vec::new();
    for rest in line.split("fact").skip(1) {
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        let mut words = rest
            .split([' ', ',', ')', ';', '.', ':'])
            .filter(|word| !word.is_empty());
        while let Some(number) = words.next().and_then(|word| word.parse().ok()) {
            cited.push(number);
            words = match words.clone().next() {
                Some("and") => {
                    words.next();
                    words
                }
                _ => words,
            };
        }
    }
    cited
}

#[test]
fn every_cited_fact_is_told() {
    let facts = include_str!("kafka-facts.md");
    let number = |line: &str| line.split_once(". ").and_then(|(n, _)| n.parse::<u32>().ok());
    let told: Vec<u32> = facts.lines().filter_map(number).collect();
    let expected: Vec<u32> = (1..=told.len() as u32).collect();
    assert_eq!(told, expected, "the numbers are stable and have no gaps");
    let (mut unknown, mut citations) = (Vec::new(), 0);
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            for fact in cited_facts(line) {
                citations += 1;
                if !told.contains(&fact) {
                    unknown.push(format!("{}:{}: fact {fact}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "not in kafka-facts.md:\n{}",
        unknown.join("\n")
    );
    assert!(citations > 100, "the code cites facts");
    assert_eq!(cited_facts("see facts 39 and 77, and (fact 5)."), [39, 77, 5]);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut left = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if !path.ends_with("tidy.rs")
                && ["todo!(", "unimplemented!(", "dbg!("]
                    .iter()
                    .any(|w| line.contains(w))
            {
                left.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert!(left.is_empty(), "unfinished: {}", left.join(", "));
}
