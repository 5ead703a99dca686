//! Rules of the house that no lint knows: which layer may import which, how every file opens, how long files and
//! functions may get. Reads the sources as text; a violation fails the tests and says where.

use std::fs;
use std::path::{Path, PathBuf};

mod circles;

/// What a module may import of those that stand before it in [`LAYERS`].
enum Imports {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}
use Imports::{AllBut, Only};

/// The modules, lowest layer first, and what each may import (`crate::NAME`). Imports go down only.
const LAYERS: &[(&str, Imports)] = &[
    ("common", Only(&[])),
    ("config", Only(&["common"])),
    ("metrics", Only(&["common"])),
    ("protocol", Only(&["common"])),
    ("purgatory", Only(&["common"])),
    ("record", Only(&["common", "config"])),
    ("security", Only(&["common", "config"])),
    ("log", Only(&["common", "config", "metrics", "record"])),
    (
        "network",
        Only(&["common", "config", "metrics", "protocol", "security"]),
    ),
    ("zk", Only(&["common", "config", "metrics", "security"])),
    ("metadata", Only(&["common", "config", "protocol"])),
    ("cluster", AllBut(&["network", "zk"])),
    ("replica", AllBut(&["zk"])),
    (
        "admin",
        AllBut(&["cluster", "log", "network", "record", "replica"]),
    ),
    (
        "controller",
        AllBut(&["admin", "cluster", "log", "purgatory", "record", "replica"]),
    ),
    ("coordinator", AllBut(&["admin", "controller"])),
    ("api", AllBut(&[])),
    ("broker", AllBut(&[])),
    (
        "cli",
        AllBut(&[
            "admin",
            "api",
            "cluster",
            "controller",
            "metadata",
            "metrics",
            "purgatory",
            "replica",
        ]),
    ),
];

impl Imports {
    fn allow(&self, import: &str, below: &[&str]) -> bool {
        match self {
            Only(names) => names.contains(&import),
            AllBut(names) => below.contains(&import) && !names.contains(&import),
        }
    }
}

/// The crate `kafka-protocol` is touched by these alone; all other modules say `crate::protocol`.
const MAY_USE_KAFKA_PROTOCOL: &[&str] = &["protocol", "record"];

/// No file may be longer. Lower it when the longest files shrink, never raise it.
const FILE_LINES_MAX: usize = 500;
/// No function may be longer, tests and tables aside.
const FUNCTION_LINES_MAX: usize = 80;

/// No comment may be wider.
const COMMENT_COLUMNS_MAX: usize = 120;

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

/// The sources without those that are compiled for tests or benches alone: modules declared under `#[cfg(test)]`, and
/// everything below them. The modules of tests at the ends of files are cut off.
fn production_sources() -> Vec<(PathBuf, String)> {
    let sources = sources();
    let test_modules: Vec<PathBuf> = sources
        .iter()
        .flat_map(|(path, text)| test_modules(path, text))
        .collect();
    let is_production = |path: &Path| {
        let module = module_folder(path);
        !test_modules.iter().any(|test| module.starts_with(test))
            && !path.to_string_lossy().ends_with("_bench.rs")
    };
    sources
        .into_iter()
        .filter(|(path, _)| is_production(path))
        .map(|(path, text)| (path, production(&text).to_owned()))
        .collect()
}

/// Where the children of a file's module lie: `a/b` of both `a/b.rs` and `a/b/mod.rs`.
fn module_folder(path: &Path) -> PathBuf {
    let path = path.with_extension("");
    match path
        .file_name()
        .is_some_and(|name| name == "mod" || name == "lib")
    {
        true => path.parent().expect("below src").to_owned(),
        false => path,
    }
}

/// The modules that a file declares for tests alone.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
    let names = declared.filter_map(|pair| {
        pair[1]
            .strip_suffix(';')?
            .split_once("mod ")
            .map(|(_, name)| name)
    });
    names.map(|name| module_folder(path).join(name)).collect()
}

#[test]
fn imports_go_down_only() {
    let names: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    let mut violations = Vec::new();
    for (path, text) in production_sources() {
        let module = module(&path);
        let Some(layer) = names.iter().position(|name| *name == module) else {
            continue;
        };
        let (below, imports) = (&names[..layer], &LAYERS[layer].1);
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for import in line.split("crate::").skip(1) {
                let name: String = import
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if name != module && !imports.allow(&name, below) {
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

/// Files that import each other in a loop cannot be read, moved or tested one without the other.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources: Vec<(String, String)> = production_sources()
        .into_iter()
        .map(|(path, text)| (path.display().to_string(), text))
        .collect();
    let house = circles::Crate::new(sources.iter().map(|(path, text)| (&**path, &**text)));
    let circles: Vec<String> = house.circles().iter().map(|circle| circle.join("\n")).collect();
    assert!(
        circles.is_empty(),
        "{} circles:\n{}",
        circles.len(),
        circles.join("\n\n")
    );
}

#[test]
fn every_file_says_what_it_owns() {
    let silent: Vec<_> = production_sources()
        .into_iter()
        .filter(|(path, text)| !text.starts_with("//!") && !path.ends_with("lib.rs"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "without a header: {}", silent.join(", "));
}

/// Comments fit beside code on half a screen. Rows of tables cannot be wrapped.
#[test]
fn comments_stay_narrow() {
    let is_wide = |line: &str| {
        let comment = line.trim_start();
        comment.starts_with("//") && !comment.contains(" | ") && line.chars().count() > COMMENT_COLUMNS_MAX
    };
    let mut wide = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().enumerate().filter(|(_, line)| is_wide(line));
        wide.extend(lines.map(|(number, _)| format!("{}:{}", path.display(), number + 1)));
    }
    assert!(wide.is_empty(), "comments too wide:\n{}", wide.join("\n"));
}

/// rustc asks for documentation only where a crate shows itself to others, and this one shows almost nothing.
#[test]
fn every_public_item_says_what_it_is() {
    let begins = [
        "fn", "async fn", "struct", "enum", "trait", "type", "const", "static",
    ];
    let mut silent = Vec::new();
    for (path, text) in production_sources() {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let documented = |mut at: usize| {
            // Over the attributes, some of which take several lines.
            while lines[at - 1].ends_with(")]") || lines[at - 1].starts_with("#[") {
                at = lines[..at]
                    .iter()
                    .rposition(|line| line.starts_with("#["))
                    .expect("an attribute begins");
            }
            lines[at - 1].starts_with("///")
        };
        for (at, line) in lines.iter().enumerate() {
            let Some(item) = line.strip_prefix("pub ") else {
                continue;
            };
            if begins
                .iter()
                .any(|kind| item.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' ')))
                && !documented(at)
            {
                silent.push(format!("{}:{}: {line}", path.display(), at + 1));
            }
        }
    }
    assert!(silent.is_empty(), "without documentation:\n{}", silent.join("\n"));
}

/// A broker is a value: two of them in one process share nothing.
#[test]
fn nothing_is_static() {
    let is_static = |line: &&str| {
        let line = line.trim_start();
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.starts_with("static ") || line.starts_with("thread_local!")
    };
    let mut statics = Vec::new();
    for (path, text) in production_sources() {
        // The allocator is the process's, not a broker's.
        if !path.ends_with("main.rs") {
            statics.extend(
                text.lines()
                    .filter(is_static)
                    .map(|line| format!("{}: {line}", path.display())),
            );
        }
    }
    assert!(statics.is_empty(), "{}", statics.join("\n"));
}

/// Time has one reader, `common::clock`. A task's deadlines are those of tokio's timer, which a simulation moves; the
/// thread that moves replicas between log dirs waits without a runtime.
#[test]
fn time_has_one_reader() {
    let readers: Vec<String> = production_sources()
        .into_iter()
        .filter(|(_, text)| {
            text.lines()
                .any(|line| line.contains("std::time::") && line.contains("Instant"))
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(readers, ["common/clock.rs", "replica/alter_log_dirs/mover.rs"]);
}

/// The log blocks: what awaits lies above it.
#[test]
fn the_log_is_not_async() {
    let sources = production_sources();
    let mut log = sources.iter().filter(|(path, _)| module(path) == "log");
    let waits = |text: &str| text.contains(".await") || text.contains("async ");
    let waiting = log.find(|(_, text)| {
        text.lines()
            .any(|line| !line.trim_start().starts_with("//") && waits(line))
    });
    assert_eq!(waiting.map(|(path, _)| path), None);
}

#[test]
fn files_and_functions_stay_small() {
    let mut violations = Vec::new();
    for (path, text) in production_sources() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            violations.push(format!("{}: {lines} lines", path.display()));
        }
        for (line, name, length) in functions(&text) {
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

/// ARCHITECTURE.md names modules and items as `a::b::c`: the file is there, and the item is defined in it or below.
#[test]
fn the_architecture_names_what_exists() {
    let page = include_str!("ARCHITECTURE.md");
    let sources = sources();
    let layers: Vec<&str> = LAYERS.iter().map(|(module, _)| *module).collect();
    let (mut missing, mut named) = (Vec::new(), 0);
    for quoted in page.split('`').skip(1).step_by(2) {
        let path: Vec<&str> = quoted.trim_start_matches("crate::").split("::").collect();
        let is_path = quoted
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == ':');
        if !is_path || !layers.contains(&path[0]) {
            continue;
        }
        named += 1;
        let folder: PathBuf = path.iter().collect();
        let (item, of) = path.split_last().expect("a path has a word");
        let (of, definition): (PathBuf, _) = (
            of.iter().collect(),
            [" fn ", " struct ", " enum ", " trait ", " const "],
        );
        let exists = sources.iter().any(|(file, text)| {
            let module = module_folder(file);
            let defined = || {
                definition
                    .iter()
                    .any(|kind| text.contains(&format!("{kind}{item}")))
            };
            module == folder || (path.len() > 1 && module.starts_with(&of) && defined())
        });
        if !exists {
            missing.push(quoted);
        }
    }
    assert_eq!(missing, Vec::<&str>::new());
    assert!(named > 30, "the page names modules");
    for module in layers {
        assert!(
            page.contains(&format!("`{module}`")),
            "the table of layers has no {module}"
        );
    }
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
