//! Defines a key: its type, default and rule, and how its value may change. Kafka 3.9: `ConfigDef`.

use super::super::error::ConfigError;

/// The type of a value; the numbers are those of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "Kafka's own type names")]
#[repr(i8)]
pub enum ConfigType {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

/// The condition that a value must meet beyond its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// No condition.
    Any,
    /// A number not below this.
    AtLeast(i64),
    /// A number between these two, both included.
    Between(i64, i64),
    /// A number from 0 to this one.
    Fraction(f64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words in any case.
    OneOfAnyCase(&'static [&'static str]),
    /// A list of these words.
    ListOf(&'static [&'static str]),
    /// Text that is not empty.
    NonEmpty,
    /// 1 to 9, or -1 for the default of the library.
    GzipLevel,
    /// -1 or a positive number.
    PoolSize,
    /// `*` or `partition:broker,…`.
    ThrottledReplicas,
    /// A release of Kafka, such as `3.9`, `3.9-IV0` or `3.9.1`.
    MetadataVersion,
}

/// Whether and how a key can be changed while the broker runs. Kafka 3.9: `DynamicBrokerConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateMode {
    /// The key is read only from the file, at the start of the broker.
    ReadOnly,
    /// The key can be changed for one broker.
    PerBroker,
    /// The key can be changed for one broker or for all brokers.
    ClusterWide,
}

/// What barnabas does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// The key has the same effect as in Kafka. If Kafka allows a change at run time, a change takes effect at once.
    Honoured,
    /// The key has the same effect as in Kafka, but only from the next start on: a change at run time is refused.
    AtStart,
    /// The key is read and checked but has no effect yet. The broker warns about it if it is set, and refuses it if it
    /// is a protection.
    NotYet,
    /// The key has no effect in a ZooKeeper-mode broker of Kafka 3.9, or it sets the size of a thread pool that does
    /// not exist here.
    NoEffect,
    /// The key makes a broker a KRaft node; the broker refuses it.
    KRaft,
}

/// One key.
#[derive(Debug)]
pub struct ConfigKey {
    /// Its name.
    pub name: &'static str,
    /// Type of its value.
    pub kind: ConfigType,
    /// The default as text; `None` is null.
    pub default: Option<&'static str>,
    /// The rule for a value.
    pub rule: Rule,
    /// How the value may change.
    pub update: UpdateMode,
    /// What barnabas does with the key.
    pub support: Support,
    /// For a topic key: the broker keys from which it inherits, the most specific one first.
    pub inherits: &'static [&'static str],
}

/// A value, in the Rust type that belongs to its key's type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A value of type Boolean.
    Boolean(bool),
    /// A value of type Short, Int or Long.
    Integer(i64),
    /// A value of type Double.
    Double(f64),
    /// A value of type String, Class or Password.
    Text(String),
    /// A value of type List.
    List(Vec<String>),
}

/// Defines a table of keys, one key per row. Rows are easy to read and to compare with Kafka's own tables.
macro_rules! keys {
    (@default null) => { None };
    (@default $default:literal) => { Some($default) };
    ($($name:literal, $kind:ident, $default:tt, $rule:expr, $update:ident, $support:ident
       $(, [$($inherits:literal),*])?;)*) => {
        pub(super) const KEYS: &[crate::config::definition::ConfigKey] = {
            #[allow(unused_imports, reason = "not every table needs every rule")]
            use crate::config::definition::Rule::*;
            &[$(crate::config::definition::ConfigKey {
                name: $name,
                kind: crate::config::definition::ConfigType::$kind,
                default: keys!(@default $default),
                rule: $rule,
                update: crate::config::definition::UpdateMode::$update,
                support: crate::config::definition::Support::$support,
                inherits: &[$($($inherits),*)?],
            },)*]
        };
    };
}
pub(super) use keys;

/// Keys that Kafka knows but does not show.
const INTERNAL: &[&str] = &[
    "group.consumer.migration.policy",
    "group.coordinator.new.enable",
    "group.share.enable",
    "log.initial.task.delay.ms",
    "metadata.log.segment.min.bytes",
    "producer.id.expiration.check.interval.ms",
    "remote.log.manager.task.retry.backoff.max.ms",
    "remote.log.manager.task.retry.backoff.ms",
    "remote.log.manager.task.retry.jitter",
    "server.max.startup.time.ms",
    "unclean.leader.election.interval.ms",
    "unstable.api.versions.enable",
    "unstable.feature.versions.enable",
    "zookeeper.metadata.migration.min.batch.size",
];

impl ConfigKey {
    /// Whether a change at run time takes effect everywhere, or the key has no effect at all.
    pub fn is_reconfigurable(&self) -> bool {
        let acted_on = matches!(self.support, Support::Honoured | Support::NoEffect);
        self.update != UpdateMode::ReadOnly && acted_on
    }

    /// Whether the value is never shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigType::Password
    }

    /// Whether Kafka does not have this key.
    pub fn is_own(&self) -> bool {
        self.name.starts_with("barnabas.")
    }

    /// Whether DescribeConfigs leaves the key out.
    pub fn is_internal(&self) -> bool {
        self.is_own() || INTERNAL.contains(&self.name)
    }

    /// Parses a value and checks it against the rule. White space around it is ignored, as Java's `trim` does.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let text = text.trim_matches(|c: char| c <= ' ');
        let value = self.parse_type(text).ok_or_else(|| {
            let expected = match self.kind {
                ConfigType::Boolean => "Expected value to be either true or false",
                ConfigType::Int => "Not a number of type INT",
                ConfigType::Short => "Not a number of type SHORT",
                ConfigType::Long => "Not a number of type LONG",
                ConfigType::Class => "value must name a class",
                _ => "Not a number of type DOUBLE",
            };
            self.refuse(text, expected.to_string())
        })?;
        match self.rule.broken_by(self.name, &value) {
            None => Ok(value),
            Some(reason) => Err(self.refuse(&self.rule.at_fault(&value, text), reason)),
        }
    }

    pub(super) fn refuse(&self, text: &str, reason: String) -> ConfigError {
        if self.is_sensitive() {
            ConfigError::key(self.name, reason)
        } else {
            ConfigError::invalid(self.name, text, reason)
        }
    }

    fn parse_type(&self, text: &str) -> Option<Value> {
        match self.kind {
            ConfigType::Boolean if text.eq_ignore_ascii_case("true") => Some(Value::Boolean(true)),
            ConfigType::Boolean if text.eq_ignore_ascii_case("false") => Some(Value::Boolean(false)),
            ConfigType::Boolean => None,
            ConfigType::Short => text.parse::<i16>().ok().map(|n| Value::Integer(n.into())),
            ConfigType::Int => text.parse::<i32>().ok().map(|n| Value::Integer(n.into())),
            ConfigType::Long => text.parse::<i64>().ok().map(Value::Integer),
            ConfigType::Double => parse_double(text).map(Value::Double),
            ConfigType::List if text.is_empty() => Some(Value::List(vec![])),
            ConfigType::List => {
                let items = text.split(',').map(|item| item.trim().to_string());
                Some(Value::List(items.collect()))
            }
            ConfigType::Class if text.is_empty() => None,
            ConfigType::String | ConfigType::Class | ConfigType::Password => {
                Some(Value::Text(text.to_string()))
            }
        }
    }
}

/// Parses a double as Java does, without the hexadecimal form: it may end in a letter for its type, and the only words
/// are `NaN` and `Infinity`.
fn parse_double(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    match digits {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    let digits = digits.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(digits);
    let begins_as_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number = digits.parse::<f64>().ok().filter(|_| begins_as_number)?;
    Some(sign * number)
}

impl Rule {
    /// The part of the value that breaks the rule, as Kafka names it.
    fn at_fault(self, value: &Value, text: &str) -> String {
        match (self, value) {
            (Self::ListOf(words), Value::List(items)) => {
                let stranger = items.iter().find(|item| !words.contains(&item.as_str()));
                stranger.cloned().unwrap_or_else(|| text.to_owned())
            }
            (Self::ThrottledReplicas, Value::List(items)) => format!("[{}]", items.join(", ")),
            _ => text.to_owned(),
        }
    }

    /// The reason why a value of this key breaks the rule, in Kafka's words; `None` if it does not.
    fn broken_by(self, name: &str, value: &Value) -> Option<String> {
        let one_of = |words: &[&str]| format!("String must be one of: {}", words.join(", "));
        let at_least = |min: &dyn std::fmt::Display| Some(format!("Value must be at least {min}"));
        let at_most = |max: &dyn std::fmt::Display| Some(format!("Value must be no more than {max}"));
        match (self, value) {
            (Self::AtLeast(min), Value::Integer(n)) if *n < min => at_least(&min),
            (Self::AtLeast(min), Value::Double(n)) if n.is_nan() || *n < min as f64 => at_least(&min),
            (Self::Between(min, _), Value::Integer(n)) if *n < min => at_least(&min),
            (Self::Between(_, max), Value::Integer(n)) if *n > max => at_most(&max),
            (Self::Fraction(max), Value::Double(n)) if *n > max => at_most(&max),
            (Self::Fraction(_), Value::Double(n)) if n.is_nan() || *n < 0.0 => at_least(&0),
            (Self::OneOf(words), Value::Text(text)) if !words.contains(&text.as_str()) => Some(one_of(words)),
            (Self::OneOfAnyCase(words), Value::Text(text))
                if !words.iter().any(|w| w.eq_ignore_ascii_case(text)) =>
            {
                Some(format!(
                    "String must be one of (case insensitive): {}",
                    words.join(", ")
                ))
            }
            (Self::ListOf(words), Value::List(items)) => {
                let is_stranger = |item: &String| !words.contains(&item.as_str());
                items.iter().any(is_stranger).then(|| one_of(words))
            }
            (Self::NonEmpty, Value::Text(text)) if text.is_empty() => Some("String must be non-empty".into()),
            (Self::GzipLevel, Value::Integer(n)) if *n != -1 && !(1..=9).contains(n) => {
                Some("Value must be between 1 and 9 or equal to -1".into())
            }
            (Self::PoolSize, Value::Integer(n)) if *n != -1 && *n < 1 => {
                Some("value must be -1 or at least 1".into())
            }
            (Self::ThrottledReplicas, Value::List(items)) if !are_throttled_replicas(items) => Some(format!(
                "{name} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],..."
            )),
            (Self::MetadataVersion, Value::Text(text)) if !is_metadata_version(text) => {
                Some(format!("Version {text} is not a valid version"))
            }
            _ => None,
        }
    }
}

fn are_throttled_replicas(items: &[String]) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_replica = |item: &String| {
        item.is_empty()
            || item
                .split_once(':')
                .is_some_and(|(p, b)| is_number(p) && is_number(b))
    };
    items.iter().all(is_replica) || items.concat() == "*"
}

/// Kafka's releases, and the number of internal versions of each. The first four releases have no named internal
/// version.
const RELEASES: &[(&str, u8)] = &[
    ("0.8.0", 0),
    ("0.8.1", 0),
    ("0.8.2", 0),
    ("0.9.0", 0),
    ("0.10.0", 2),
    ("0.10.1", 3),
    ("0.10.2", 1),
    ("0.11.0", 3),
    ("1.0", 1),
    ("1.1", 1),
    ("2.0", 2),
    ("2.1", 3),
    ("2.2", 2),
    ("2.3", 2),
    ("2.4", 2),
    ("2.5", 1),
    ("2.6", 1),
    ("2.7", 3),
    ("2.8", 2),
    ("3.0", 2),
    ("3.1", 1),
    ("3.2", 1),
    ("3.3", 4),
    ("3.4", 1),
    ("3.5", 3),
    ("3.6", 3),
    ("3.7", 5),
    ("3.8", 1),
    ("3.9", 1),
    ("4.0", 2),
];

const UNRELEASED: &str = "4.0";

/// Accepts `3.9`, `3.9-IV0` and `3.9.1`. As in Kafka, everything after the release's own digits is ignored.
fn is_metadata_version(text: &str) -> bool {
    let digits = if text.starts_with("0.") { 3 } else { 2 };
    let version: Vec<&str> = text.split('.').take(digits).collect();
    let version = version.join(".");
    let (release, internal) = version
        .split_once("-IV")
        .map_or((&*version, None), |(r, i)| (r, Some(i)));
    let known = RELEASES.iter().find(|(name, _)| *name == release);
    known.is_some_and(|(name, count)| {
        // A release that is not finished yet has only internal versions.
        if internal.is_none() && *name == UNRELEASED {
            return false;
        }
        internal.is_none_or(|i| {
            i.parse::<u8>()
                .is_ok_and(|i| i < *count && i.to_string().len() == 1)
        })
    })
}

/// Writes the value as Kafka shows it (`ConfigDef.convertToString`).
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Double(value) => f.write_str(&java_double(*value)),
            Self::Text(value) => f.write_str(value),
            Self::List(items) => f.write_str(&items.join(",")),
        }
    }
}

/// Writes a double as Java does: without an exponent from 10⁻³ up to 10⁷, else with one; always with a fraction.
fn java_double(value: f64) -> String {
    let size = value.abs();
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if value == 0.0 || !value.is_finite() || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}
