//! Circles of imports between files: which file takes a name from which, and which files reach each other both ways.
//!
//! A name counts as taken from the file that defines it, however many `pub use` it comes through; a `pub use` itself
//! is not an import. Reads the sources as text and relies on rustfmt.

use std::collections::{BTreeMap, BTreeSet};

/// A path of module names from the crate's root; the root is empty.
type ModulePath = Vec<String>;

/// A file of the crate: its module, its text without comments, strings' contents and tests.
struct File {
    module: ModulePath,
    code: String,
    uses: Vec<Use>,
}

/// One name of a `use`, as an absolute path.
struct Use {
    path: Vec<String>,
    /// The name by which this file knows it; `*` for a glob.
    alias: String,
    exported: bool,
}

/// All files by their modules.
pub struct Crate {
    files: BTreeMap<ModulePath, File>,
}

impl Crate {
    /// Reads the crate out of pairs of a file's path below `src`, with `/`, and its production code.
    pub fn new<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut files = BTreeMap::new();
        for (path, text) in sources {
            let module = module_of(path);
            let code = without_comments(text);
            let uses = uses(&code, &module);
            files.insert(module.clone(), File { module, code, uses });
        }
        Self { files }
    }

    /// Each set of files that import each other in a loop, as its arrows.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let arrows = self.arrows();
        let reach: BTreeMap<_, _> = arrows
            .keys()
            .map(|from| (from, reachable(&arrows, from)))
            .collect();
        let mut circles = BTreeSet::new();
        for (from, reached) in &reach {
            let members: BTreeSet<&ModulePath> =
                reached.iter().filter(|to| reach[to].contains(*from)).collect();
            let within = members.iter().flat_map(|&from| {
                let to = arrows[from].iter().filter(|to| members.contains(to));
                to.map(move |to| format!("{} -> {}", from.join("::"), to.join("::")))
            });
            circles.insert(within.collect::<Vec<_>>());
        }
        circles.into_iter().filter(|circle| !circle.is_empty()).collect()
    }

    /// The files that each file takes names from.
    pub fn arrows(&self) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
        let mut arrows = BTreeMap::new();
        for file in self.files.values() {
            let mut to = BTreeSet::new();
            for imported in file.uses.iter().filter(|u| !u.exported) {
                to.extend(self.definition(&imported.path, 0));
            }
            for path in self.mentioned(file) {
                to.extend(self.definition(&path, 0));
            }
            to.remove(&file.module);
            arrows.insert(file.module.clone(), to);
        }
        arrows
    }

    /// Paths that stand in code without a `use`: `crate::a::B`, `super::B`, `child::B`.
    fn mentioned(&self, file: &File) -> Vec<Vec<String>> {
        let glob_of_parent = file
            .uses
            .iter()
            .any(|u| u.alias == "*" && Some(&u.path[..]) == parent(&file.module));
        let mut found = Vec::new();
        for words in paths_in(&file.code) {
            let first = words[0].as_str();
            if ["crate", "super", "self"].contains(&first) {
                found.extend(absolute(&words, &file.module));
                continue;
            }
            let bases = [
                Some(&file.module[..]),
                parent(&file.module).filter(|_| glob_of_parent),
            ];
            for base in bases.into_iter().flatten() {
                let child = [base, &words[..1]].concat();
                if self.files.contains_key(&child) && child != file.module {
                    found.push([base, &words[..]].concat());
                }
            }
        }
        found
    }

    /// The file that defines what an absolute path names.
    fn definition(&self, path: &[String], depth: usize) -> Option<ModulePath> {
        let at = (0..=path.len())
            .rev()
            .find(|&n| self.files.contains_key(&path[..n]))?;
        let module = &self.files[&path[..at]];
        let Some(name) = path.get(at).filter(|_| depth < 8) else {
            return Some(module.module.clone());
        };
        let forwarded = module
            .uses
            .iter()
            .filter(|u| u.exported)
            .find_map(|u| (u.alias == *name).then(|| [&u.path[..], &path[at + 1..]].concat()));
        match forwarded {
            Some(path) => self.definition(&path, depth + 1),
            None => Some(module.module.clone()),
        }
    }
}

fn reachable(arrows: &BTreeMap<ModulePath, BTreeSet<ModulePath>>, from: &ModulePath) -> BTreeSet<ModulePath> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        for to in arrows.get(module).into_iter().flatten() {
            if reached.insert(to.clone()) {
                open.push(to);
            }
        }
    }
    reached
}

/// `a/b.rs` and `a/b/mod.rs` are both `a::b`.
fn module_of(path: &str) -> ModulePath {
    let path = path.trim_end_matches(".rs");
    let mut module: ModulePath = path.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|name| name == "mod") || path == "lib" {
        module.pop();
    }
    module
}

fn parent(module: &[String]) -> Option<&[String]> {
    module.split_last().map(|(_, parent)| parent)
}

/// A path that begins with `crate`, `super` or `self`, from the root.
fn absolute(words: &[String], module: &[String]) -> Option<Vec<String>> {
    let mut base = match words[0].as_str() {
        "crate" => Vec::new(),
        "super" => parent(module)?.to_vec(),
        "self" => module.to_vec(),
        _ => return None,
    };
    let mut rest = &words[1..];
    while rest.first().is_some_and(|word| word == "super") {
        base.pop();
        rest = &rest[1..];
    }
    base.extend_from_slice(rest);
    Some(base)
}

fn without_comments(text: &str) -> String {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.map(|line| line.split(" // ").next().unwrap_or(line));
    code.collect::<Vec<_>>().join("\n")
}

/// Every `use` of a file that is not for tests alone.
fn uses(code: &str, module: &[String]) -> Vec<Use> {
    let mut found = Vec::new();
    let mut lines = code.lines();
    let mut for_tests = false;
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        let exported = line.starts_with("pub");
        let Some(at) = line.find("use ").filter(|&at| at == 0 || (exported && at < 12)) else {
            for_tests = line.starts_with("#[cfg(test)]");
            continue;
        };
        let mut tree = line[at + 4..].to_owned();
        while !tree.contains(';') {
            tree.push_str(lines.next().unwrap_or(";"));
        }
        let tree: String = tree.replace(" as ", "@").split_whitespace().collect();
        if !std::mem::take(&mut for_tests) {
            expand(tree.trim_end_matches(';'), &[], module, exported, &mut found);
        }
    }
    found
}

/// Adds each name of the tree `a::{b, c::{self, d as e}}`.
fn expand(tree: &str, before: &[String], module: &[String], exported: bool, found: &mut Vec<Use>) {
    if let Some((head, list)) = tree.split_once('{') {
        let heads = head
            .split("::")
            .filter(|word| !word.is_empty())
            .map(str::to_owned);
        let before: Vec<String> = before.iter().cloned().chain(heads).collect();
        let (mut depth, mut begin) = (0, 0);
        let list = list.strip_suffix('}').unwrap_or(list);
        for (at, character) in list.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&list[begin..at], &before, module, exported, found);
                    begin = at + 1;
                }
                _ => {}
            }
        }
        return expand(&list[begin..], &before, module, exported, found);
    }
    let (path, alias) = tree
        .split_once('@')
        .map_or((tree, None), |(path, alias)| (path, Some(alias)));
    let words = path
        .split("::")
        .filter(|word| !word.is_empty())
        .map(str::to_owned);
    let mut words: Vec<String> = before.iter().cloned().chain(words).collect();
    let Some(last) = words.last().cloned() else {
        return;
    };
    if ["self", "*"].contains(&last.as_str()) && words.len() > 1 {
        words.pop();
    }
    let name = if last == "self" {
        words.last().cloned().unwrap_or_default()
    } else {
        last
    };
    // A `use` without a root names a child of this module or another crate.
    let path = absolute(&words, module).unwrap_or_else(|| [module, &words[..]].concat());
    let alias = alias.map_or(name, str::to_owned);
    found.push(Use {
        path,
        alias,
        exported,
    });
}

/// Everything of the form `a::b::c` outside of `use`.
fn paths_in(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut in_use = false;
    for line in code.lines() {
        let begins = line.trim_start();
        in_use |= begins.starts_with("use ") || (begins.starts_with("pub") && begins.contains(" use "));
        if !in_use && !begins.starts_with("pub(in ") {
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            for token in line.split(|c| !is_part(c)).filter(|token| token.contains("::")) {
                let words: Vec<String> = token
                    .split("::")
                    .map(|word| word.trim_matches(':').to_owned())
                    .collect();
                if !words[0].is_empty() {
                    found.push(words);
                }
            }
        }
        in_use &= !line.contains(';');
    }
    found
}

#[test]
fn a_circle_is_found_through_reexports_and_bare_paths() {
    let house = |b: &'static str| {
        Crate::new([
            (
                "a/mod.rs",
                "pub mod b;\nmod c;\npub use c::{Noun, other as renamed};",
            ),
            ("a/b.rs", b),
            (
                "a/c.rs",
                "//! see crate::a::b::Thing\nuse crate::a::b::{self, Thing};\npub struct Noun;",
            ),
        ])
    };
    for takes in [
        "use super::Noun;",
        "use super::{\n    renamed,\n};",
        "fn f() { crate::a::Noun }",
        "use super::*;\nfn f() { c::g() }",
    ] {
        assert_eq!(
            house(takes).circles(),
            [["a::b -> a::c", "a::c -> a::b"]],
            "{takes}"
        );
    }
    for takes in [
        "",
        "// super::Noun",
        "#[cfg(test)]\nuse super::Noun;",
        "pub use super::Noun;",
        "pub(in crate::a::c) fn f() {}",
    ] {
        assert!(house(takes).circles().is_empty(), "{takes}");
    }
}
