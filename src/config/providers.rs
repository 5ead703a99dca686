//! Replaces variables by values from other places: `${file:/path:key}`, `${directory:/path:name}`, `${env:NAME}`
//! (KIP-297, KIP-421, KIP-887, KIP-993). Kafka 3.9: `ConfigTransformer`, `FileConfigProvider`,
//! `DirectoryConfigProvider`, `EnvVarConfigProvider`.
//!
//! As in Kafka, a variable stays unchanged if its provider is not configured or does not have the value. A value that
//! replaces a variable is not searched for further variables.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use regex::Regex;
use tracing::warn;

use super::error::ConfigError;
use super::origin::Origin;
use super::properties::{Properties, Property};

const PROVIDERS: &str = "config.providers";

/// Whether the key configures providers. There is no table of these keys, because users choose the names in them.
pub(super) fn is_provider_key(name: &str) -> bool {
    name.strip_prefix(PROVIDERS)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Returns the properties with every variable replaced that has a value. The same properties configure the providers.
pub fn resolve(properties: &Properties) -> Result<Properties, ConfigError> {
    let providers = providers(properties)?;
    let mut resolved = properties.clone();
    if providers.is_empty() {
        return Ok(resolved);
    }
    let mut files = Files::default();
    for (name, property) in properties.iter() {
        let value = replace(&property.value, |variable| {
            match providers.get(variable.provider) {
                Some(provider) => provider.value(variable, &mut files),
                None => Ok(None),
            }
        })
        .map_err(|reason| ConfigError::key(name, reason).with_origin(&property.origin))?;
        if value != property.value {
            resolved.insert(name.to_owned(), value, property.origin.clone());
        }
    }
    Ok(resolved)
}

/// Does the same for settings in ZooKeeper. As in Kafka, only providers that are configured in the same settings are
/// used.
pub fn resolve_dynamic(settings: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
    if !settings.contains_key(PROVIDERS) {
        return Ok(settings.clone());
    }
    let mut properties = Properties::default();
    for (key, value) in settings {
        properties.insert(key.clone(), value.clone(), Origin::Dynamic);
    }
    let resolved = resolve(&properties)?;
    Ok(resolved
        .iter()
        .map(|(key, property)| (key.to_owned(), property.value.clone()))
        .collect())
}

/// The providers by the names that variables use.
fn providers(properties: &Properties) -> Result<BTreeMap<&str, Provider>, ConfigError> {
    let mut providers = BTreeMap::new();
    let names = properties.get(PROVIDERS).unwrap_or_default();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let key = format!("{PROVIDERS}.{name}.class");
        let Some(class) = properties.property(&key) else {
            // As in Kafka, a provider without a class does not exist.
            warn!(key, "is not set, so that there is no such provider");
            continue;
        };
        let parameter =
            |parameter: &str| properties.property(&format!("{PROVIDERS}.{name}.param.{parameter}"));
        let provider = Provider::new(&class.value, parameter);
        let provider = provider
            .map_err(|reason| ConfigError::invalid(&key, &class.value, reason).with_origin(&class.origin))?;
        providers.insert(name, provider);
    }
    Ok(providers)
}

/// A source of values.
enum Provider {
    /// Files in the syntax of properties.
    File(AllowedPaths),
    /// Directories with one file for each value.
    Directory(AllowedPaths),
    /// Environment variables whose names match.
    Environment(Regex),
}

impl Provider {
    fn new<'a>(class: &str, parameter: impl Fn(&str) -> Option<&'a Property>) -> Result<Self, String> {
        let paths = || AllowedPaths::new(parameter("allowed.paths").map(|p| p.value.as_str()));
        match class {
            "org.apache.kafka.common.config.provider.FileConfigProvider" => paths().map(Self::File),
            "org.apache.kafka.common.config.provider.DirectoryConfigProvider" => paths().map(Self::Directory),
            "org.apache.kafka.common.config.provider.EnvVarConfigProvider" => {
                let pattern = parameter("allowlist.pattern").map_or(".*", |p| p.value.as_str());
                let whole = Regex::new(&format!("^(?:{pattern})$"));
                let refused = |error| format!("allowlist.pattern '{pattern}' is not understood: {error}");
                whole.map(Self::Environment).map_err(refused)
            }
            _ => Err(
                "classes cannot be loaded: only Kafka's own FileConfigProvider, DirectoryConfigProvider and \
                 EnvVarConfigProvider are built in"
                    .to_owned(),
            ),
        }
    }

    fn value(&self, variable: &Variable, files: &mut Files) -> Result<Option<String>, String> {
        let Variable { path, key, .. } = variable;
        match self {
            Self::Environment(_) if !path.is_empty() => Err(format!(
                "an environment variable has no path, but is given '{path}'"
            )),
            Self::Environment(pattern) => Ok(std::env::var(key).ok().filter(|_| pattern.is_match(key))),
            Self::File(allowed) | Self::Directory(allowed) => {
                let Some(found) = allowed.resolve(path) else {
                    return Ok(None);
                };
                match self {
                    Self::File(_) => files.value(&found, key),
                    _ => value_in_directory(&found, key),
                }
            }
        }
    }
}

/// `allowed.paths`: the files and directories below which values may be read. Without the parameter, all paths are
/// allowed.
struct AllowedPaths(Option<Vec<PathBuf>>);

impl AllowedPaths {
    fn new(list: Option<&str>) -> Result<Self, String> {
        let Some(list) = list.filter(|list| !list.is_empty()) else {
            return Ok(Self(None));
        };
        let mut paths = Vec::new();
        for path in list.split(',') {
            let path = normalized(Path::new(path));
            if !path.is_absolute() {
                return Err(format!("allowed.paths: {} is not absolute", path.display()));
            }
            if !path.exists() {
                return Err(format!("allowed.paths: {} does not exist", path.display()));
            }
            paths.push(path);
        }
        Ok(Self(Some(paths)))
    }

    /// The path; `None` if reading it is not allowed.
    fn resolve(&self, path: &str) -> Option<PathBuf> {
        if path.is_empty() {
            return None;
        }
        let Some(allowed) = &self.0 else {
            return Some(path.into());
        };
        let normalized = normalized(Path::new(path));
        let is_allowed = allowed.iter().any(|allowed| normalized.starts_with(allowed));
        if !is_allowed {
            warn!(
                path,
                "is not below allowed.paths, so that no value is read from there"
            );
        }
        is_allowed.then_some(normalized)
    }
}

/// The path without `.` and `..`, computed from the names alone.
fn normalized(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            Component::ParentDir if normal.has_root() => {}
            other => normal.push(other),
        }
    }
    normal
}

/// The files that have been read.
#[derive(Default)]
struct Files {
    read: BTreeMap<PathBuf, Properties>,
}

impl Files {
    fn value(&mut self, path: &Path, key: &str) -> Result<Option<String>, String> {
        if !self.read.contains_key(path) {
            let unreadable = |error: &str| format!("cannot read properties from {}: {error}", path.display());
            let text = std::fs::read(path).map_err(|e| unreadable(&e.to_string()))?;
            let text = String::from_utf8(text).map_err(|_| unreadable("it is not UTF-8"))?;
            let properties = Properties::parse_text(&text, &path.display().to_string());
            let properties = properties.map_err(|e| unreadable(&e.to_string()))?;
            self.read.insert(path.to_owned(), properties);
        }
        Ok(self.read[path].get(key).map(str::to_owned))
    }
}

/// The whole content of a file; `None` if the file does not exist.
fn value_in_directory(directory: &Path, name: &str) -> Result<Option<String>, String> {
    if !directory.is_dir() {
        warn!(path = %directory.display(), "is no directory, so that no value is read from there");
        return Ok(None);
    }
    // A name must be a single file name, not a path to another directory.
    let is_name = Path::new(name).components().count() == 1 && Path::new(name).file_name().is_some();
    let path = directory.join(name);
    if !is_name || !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// A variable `${provider:path:key}` or `${provider:key}`. Only the key may contain colons.
#[derive(Debug, PartialEq, Eq)]
struct Variable<'a> {
    provider: &'a str,
    path: &'a str,
    key: &'a str,
}

impl<'a> Variable<'a> {
    fn parse(content: &'a str) -> Option<Self> {
        let (provider, rest) = content.split_once(':')?;
        let (path, key) = rest.split_once(':').unwrap_or(("", rest));
        Some(Self { provider, path, key })
    }
}

/// Returns the text with each variable replaced by the value that `value` returns for it.
fn replace(
    text: &str,
    mut value: impl FnMut(&Variable) -> Result<Option<String>, String>,
) -> Result<String, String> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else {
            break;
        };
        let end = start + length;
        let found = match Variable::parse(&rest[start + 2..end]) {
            Some(variable) => value(&variable)?,
            None => None,
        };
        replaced.push_str(&rest[..start]);
        replaced.push_str(found.as_deref().unwrap_or(&rest[start..=end]));
        rest = &rest[end + 1..];
    }
    replaced.push_str(rest);
    Ok(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_where_they_have_a_value() {
        let value = |variable: &Variable| match variable.provider {
            "p" if variable.key == "none" => Ok(None),
            "p" => Ok(Some(format!("<{}|{}>", variable.path, variable.key))),
            "bad" => Err("bad".to_owned()),
            _ => Ok(None),
        };
        for (text, expected) in [
            ("plain", "plain"),
            ("${p:a}", "<|a>"),
            ("x${p:/a:b}y${p:c}z", "x</a|b>y<|c>z"),
            ("${p:/a:b:c}", "</a|b:c>"),
            (
                "${p:none} ${q:a} ${p} ${} $p {p:a} ${p:a",
                "${p:none} ${q:a} ${p} ${} $p {p:a} ${p:a",
            ),
            ("${p:}", "<|>"),
            ("${a${p:b}", "${a${p:b}"),
            ("${p:${p:a}}", "<${p|a>}"),
        ] {
            assert_eq!(replace(text, value).unwrap(), expected, "{text}");
        }
        assert!(replace("${bad:a}", value).is_err());
    }

    #[test]
    fn values_are_found_in_files_directories_and_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        std::fs::create_dir_all(folder.path().join("a/sub")).unwrap();
        std::fs::write(folder.path().join("a/secrets"), "key = v\u{20ac}\\u00e9 \nid=7\n").unwrap();
        std::fs::write(folder.path().join("a/id"), "8\n").unwrap();
        let path = std::env::var("PATH").expect("every process has one");
        let class = |name: &str| format!("org.apache.kafka.common.config.provider.{name}ConfigProvider");
        let base = [
            ("config.providers".to_owned(), "f,d,e,x,limited,some".to_owned()),
            ("config.providers.f.class".to_owned(), class("File")),
            ("config.providers.d.class".to_owned(), class("Directory")),
            ("config.providers.e.class".to_owned(), class("EnvVar")),
            ("config.providers.limited.class".to_owned(), class("File")),
            (
                "config.providers.limited.param.allowed.paths".to_owned(),
                format!("{at}/a/sub"),
            ),
            ("config.providers.some.class".to_owned(), class("EnvVar")),
            (
                "config.providers.some.param.allowlist.pattern".to_owned(),
                "NO.*|PAT".to_owned(),
            ),
        ];
        let resolved = |value: &str| {
            let mut properties = Properties::from(base.clone());
            properties.insert("k".into(), value.into(), super::super::Origin::Program);
            resolve(&properties).map(|resolved| resolved.get("k").unwrap().to_owned())
        };
        let same = |text: &str| (text.to_owned(), text.to_owned());
        for (value, expected) in [
            (
                format!("${{f:{at}/a/secrets:key}}"),
                "v\u{20ac}\u{e9} ".to_owned(),
            ),
            (format!("<${{d:{at}/a:id}}>"), "<8\n>".to_owned()),
            ("${e:PATH}".to_owned(), path),
            same(&format!("${{f:{at}/a/secrets:none}}")),
            same("${f:key}"),
            same(&format!("${{d:{at}/a:none}}")),
            same(&format!("${{d:{at}/none:id}}")),
            same(&format!("${{d:{at}/a/sub:../id}}")),
            same(&format!("${{d:{at}/a:sub}}")),
            same("${e:NO_SUCH_VARIABLE_ANYWHERE}"),
            same("${some:PATH}"),
            same("${x:a}"),
            same(&format!("${{limited:{at}/a/sub/../secrets:id}}")),
        ] {
            assert_eq!(resolved(&value).unwrap(), expected, "{value}");
        }
        for (value, reason) in [
            (format!("${{f:{at}/none:key}}"), "cannot read properties"),
            (
                format!("${{limited:{at}/a/sub/none:key}}"),
                "cannot read properties",
            ),
            ("${e:/path:PATH}".to_owned(), "has no path"),
        ] {
            let error = resolved(&value).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_provider_that_cannot_be_used_is_refused() {
        for (class, parameter, value, reason) in [
            ("my.own.Provider", "", "", "classes cannot be loaded"),
            ("", "", "", "classes cannot be loaded"),
            (
                "org.apache.kafka.common.config.provider.FileConfigProvider",
                "allowed.paths",
                "a",
                "not absolute",
            ),
            (
                "org.apache.kafka.common.config.provider.FileConfigProvider",
                "allowed.paths",
                "/n/s/p",
                "not exist",
            ),
            (
                "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
                "allowlist.pattern",
                "(",
                "not understood",
            ),
        ] {
            let properties = Properties::from([
                ("config.providers".to_owned(), "p".to_owned()),
                ("config.providers.p.class".to_owned(), class.to_owned()),
                (format!("config.providers.p.param.{parameter}"), value.to_owned()),
            ]);
            let error = resolve(&properties).unwrap_err().to_string();
            assert!(
                error.contains(reason) && error.contains("config.providers.p.class"),
                "{error}"
            );
        }
    }
}
