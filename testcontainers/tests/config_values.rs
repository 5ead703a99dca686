//! Compares which values of a setting are accepted and refused with Apache Kafka's own validators: every broker and
//! topic key with values at and beyond its limits, of other types, in other letter cases; lists; settings that depend
//! on each other.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use barnabas::parts::{BrokerConfig, LogConfig, Origin, Properties};
use barnabas::parts::{ConfigKey, ConfigType, Rule, broker_keys, topic_keys};
use barnabas_testcontainers::repository;
use barnabas_testcontainers::tools::{java, run};
use serde_json::{Value, json};

mod config_values {
    pub(crate) mod explained;
    pub(crate) mod together;
}
use config_values::{explained, together};

const LIMIT: Duration = Duration::from_secs(300);

/// Whether a setting belongs to a broker or to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Broker,
    Topic,
}

/// Settings, and the key whose value is compared if the settings are accepted.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) kind: Kind,
    pub(crate) key: String,
    pub(crate) settings: BTreeMap<String, String>,
}

/// The value, or the reason why the settings are refused.
pub(crate) type Answer = Result<Option<String>, String>;

impl Question {
    fn about(kind: Kind, key: &str, value: &str) -> Self {
        Self::of(kind, &[(key, value)])
    }

    /// A question that compares the value of the last setting.
    pub(crate) fn of(kind: Kind, settings: &[(&str, &str)]) -> Self {
        let mut all = BTreeMap::new();
        if kind == Kind::Broker {
            all.insert("broker.id".to_owned(), "1".to_owned());
            all.insert("zookeeper.connect".to_owned(), "localhost:2181".to_owned());
        }
        for (key, value) in settings {
            all.insert((*key).to_owned(), (*value).to_owned());
        }
        // `node.id` and `broker.id` are two names of the same setting.
        if settings.iter().any(|(key, _)| *key == "node.id")
            && !settings.iter().any(|(key, _)| *key == "broker.id")
        {
            all.remove("broker.id");
        }
        let key = settings
            .last()
            .map_or_else(String::new, |(key, _)| (*key).to_owned());
        Self {
            kind,
            key,
            settings: all,
        }
    }

    fn to_json(&self) -> Value {
        let kind = match self.kind {
            Kind::Broker => "broker",
            Kind::Topic => "topic",
        };
        json!({"kind": kind, "key": self.key, "settings": self.settings})
    }

    fn ask_barnabas(&self) -> Answer {
        let found = match self.kind {
            Kind::Broker => {
                let mut properties = Properties::default();
                for (key, value) in &self.settings {
                    properties.insert(key.clone(), value.clone(), Origin::Program);
                }
                let (config, _) = BrokerConfig::from_properties(&properties).map_err(|e| e.to_string())?;
                let key = broker_keys().find(|key| key.name == self.key);
                key.map(|key| (key, config.originals.get(key.name).map(str::to_owned)))
            }
            Kind::Topic => {
                LogConfig::from_overrides(&LogConfig::default(), &self.settings)
                    .map_err(|e| e.to_string())?;
                let key = topic_keys().iter().find(|key| key.name == self.key);
                key.map(|key| (key, self.settings.get(key.name).cloned()))
            }
        };
        let Some((key, text)) = found else {
            return Ok(None);
        };
        let text = text.or(key.default.map(str::to_owned));
        let value = text.map(|text| key.parse(&text)).transpose();
        Ok(value.map_err(|e| e.to_string())?.map(|value| value.to_string()))
    }
}

/// Values to try for a key, derived from its type, its rule and its default.
fn values(key: &ConfigKey) -> Vec<String> {
    let mut values: Vec<String> = ["", " ", "x", "1", "-1", "true"].map(str::to_owned).to_vec();
    if let Some(default) = key.default {
        let with_blanks = format!(" \t{default} ");
        values.extend([
            default.to_owned(),
            with_blanks,
            default.to_uppercase(),
            default.to_lowercase(),
        ]);
    }
    match key.kind {
        ConfigType::Boolean => {
            let more = ["True", "FALSE", "false", " true ", "yes", "0", "tru", "t", "null"];
            values.extend(more.map(str::to_owned));
        }
        ConfigType::Short | ConfigType::Int | ConfigType::Long => values.extend(numbers(key)),
        ConfigType::Double => {
            let more = [
                "0",
                "0.5",
                "1.0",
                "1.0000001",
                "-0.1",
                "1.5",
                "2",
                "NaN",
                "nan",
                "Infinity",
                "-Infinity",
                "inf",
                "infinity",
                "1e400",
                "1e-3",
                "1E7",
                "1d",
                "1f",
                "1D",
                "+0.5",
                ".5",
                "5.",
                "1e",
                "0x1p3",
                "1,5",
                "- 1",
                "0.51",
                "1_0",
            ];
            values.extend(more.map(str::to_owned));
        }
        ConfigType::List => values.extend(lists(key)),
        ConfigType::Class => {
            let more = ["no.such.Class", "java.lang.String", "java.util.ArrayList"];
            values.extend(more.map(str::to_owned));
        }
        ConfigType::String | ConfigType::Password => values.extend(texts(key)),
    }
    values.sort();
    values.dedup();
    values
}

fn numbers(key: &ConfigKey) -> Vec<String> {
    let mut numbers: Vec<i128> = vec![-2, -1, 0, 1, 2, 15, 100];
    for limit in [
        i16::MIN as i128,
        i16::MAX as i128,
        i32::MIN as i128,
        i32::MAX as i128,
        i64::MIN as i128,
        i64::MAX as i128,
    ] {
        numbers.extend([limit - 1, limit, limit + 1]);
    }
    match key.rule {
        Rule::AtLeast(min) => numbers.extend([min as i128 - 1, min as i128]),
        Rule::Between(min, max) => {
            numbers.extend([min as i128 - 1, min as i128, max as i128, max as i128 + 1]);
        }
        Rule::GzipLevel => numbers.extend([0, 9, 10]),
        _ => {}
    }
    let mut texts: Vec<String> = numbers.iter().map(i128::to_string).collect();
    let more = [
        "1.0", "1e3", "0x10", "+5", "05", "-0", "--1", "1 000", "1_000", "five", "5L", "1,000", "\u{a0}5",
    ];
    texts.extend(more.map(str::to_owned));
    texts
}

fn lists(key: &ConfigKey) -> Vec<String> {
    let words: &[&str] = match key.rule {
        Rule::ListOf(words) => words,
        Rule::ThrottledReplicas => &["0:1", "1:2"],
        _ => &["DEFAULT", "b"],
    };
    let (first, second) = (words[0], words[1]);
    let mut lists: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
    lists.extend([
        format!("{first},{second}"),
        format!("{first} , {second}"),
        format!("{first},{first}"),
        format!("{first},"),
        format!(",{first}"),
        format!("{first},,{second}"),
        format!("{first},unknown"),
        first.to_uppercase(),
        format!("{first};{second}"),
        format!("[{first}]"),
    ]);
    let more = [
        ",", ",,", "*", "0:1,*", "0:", ":1", "0", "0:1:2", "-1:1", "0:-1", "a:1", "*,*", "* ",
    ];
    lists.extend(more.map(str::to_owned));
    lists
}

fn texts(key: &ConfigKey) -> Vec<String> {
    let mut texts = vec![
        "a b".to_owned(),
        "\u{e9}".to_owned(),
        " x ".to_owned(),
        "null".to_owned(),
    ];
    if let Rule::OneOf(words) | Rule::OneOfAnyCase(words) = key.rule {
        for word in words {
            texts.extend([
                (*word).to_owned(),
                format!(" {word} "),
                word.to_uppercase(),
                word.to_lowercase(),
                format!("{word}x"),
                format!("{word},{word}"),
            ]);
        }
    }
    if key.rule == Rule::MetadataVersion {
        let more = [
            "0.8.0",
            "0.8.2.2",
            "0.9.0",
            "0.9.0-IV0",
            "0.10.0",
            "0.10.0-IV1",
            "0.10.0-IV2",
            "0.11.0-IV2",
            "1.0",
            "1.0.1",
            "2.8-IV1",
            "2.8-IV2",
            "3.0",
            "3.0-IV0",
            "3.0-IV1",
            "3.3-IV3",
            "3.3-IV4",
            "3.7-IV4",
            "3.7-IV5",
            "3.8",
            "3.9",
            "3.9.1",
            "3.9-IV0",
            "3.9-IV1",
            "3.9-iv0",
            "4.0",
            "4.0-IV0",
            "4.0-IV1",
            "4.1",
            "5.0",
            "3",
            "3.",
            ".9",
            "3.10",
            "v3.9",
            "3.9.0.0",
            "latest",
        ];
        texts.extend(more.map(str::to_owned));
    }
    texts.extend(together::texts_of(key.name).iter().map(|text| (*text).to_owned()));
    texts
}

fn questions() -> Vec<Question> {
    let of_brokers = broker_keys().filter(|key| !key.is_internal());
    let of_brokers = of_brokers.flat_map(|key| {
        let values = values(key);
        values
            .into_iter()
            .map(|value| Question::about(Kind::Broker, key.name, &value))
    });
    let of_topics = topic_keys().iter().flat_map(|key| {
        let values = values(key);
        values
            .into_iter()
            .map(|value| Question::about(Kind::Topic, key.name, &value))
    });
    let together = together::questions()
        .into_iter()
        .chain(together::with_providers());
    of_brokers.chain(of_topics).chain(together).collect()
}

async fn ask_kafka(questions: &[Question]) -> Result<Vec<Answer>> {
    let driver = repository().join("testcontainers/kafka/Values.java");
    let command = java(&driver.display().to_string(), "512m", "WARN");
    let lines: Vec<String> = questions.iter().map(|q| q.to_json().to_string()).collect();
    let printed = run(command, &(lines.join("\n") + "\n"), LIMIT).await?.ok()?;
    let answers = printed.lines().filter(|line| line.starts_with('{')).map(|line| {
        let answer: Value = serde_json::from_str(line)?;
        Ok(match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["value"].as_str().map(str::to_owned)),
        })
    });
    answers.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_taken_and_refused_as_by_kafka() -> Result<()> {
    let questions = questions();
    let kafkas = ask_kafka(&questions).await?;
    ensure!(
        kafkas.len() == questions.len(),
        "{} answers to {} questions",
        kafkas.len(),
        questions.len()
    );
    let keys = |kind| {
        let mut keys: Vec<&str> = questions
            .iter()
            .filter(|q| q.kind == kind)
            .map(|q| q.key.as_str())
            .filter(|name| match kind {
                Kind::Broker => broker_keys().any(|key| key.name == *name && !key.is_internal()),
                Kind::Topic => topic_keys().iter().any(|key| key.name == *name),
            })
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    };
    let (mut same, mut explained, mut differences) = (0, BTreeMap::<&str, usize>::new(), Vec::new());
    for (question, kafkas) in questions.iter().zip(&kafkas) {
        let ours = question.ask_barnabas();
        let is_same = match (&ours, kafkas) {
            (Ok(ours), Ok(kafkas)) => ours == kafkas,
            (Err(_), Err(_)) => true,
            _ => false,
        };
        match explained::reason(question, &ours, kafkas) {
            _ if is_same => same += 1,
            Some(reason) => *explained.entry(reason).or_default() += 1,
            None => differences.push(format!(
                "{:?} {:?}\n    barnabas: {ours:?}\n    Apache Kafka: {kafkas:?}",
                question.key, question.settings
            )),
        }
    }
    println!(
        "{} broker and {} topic keys, {} questions: {same} answered the same, {} explained, {} differ",
        keys(Kind::Broker),
        keys(Kind::Topic),
        questions.len(),
        explained.values().sum::<usize>(),
        differences.len()
    );
    for (reason, count) in &explained {
        println!("{count:6} {reason}");
    }
    ensure!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
    let unused = explained::REASONS
        .iter()
        .filter(|reason| !explained.contains_key(**reason));
    let unused: Vec<_> = unused.collect();
    ensure!(unused.is_empty(), "these explain nothing (any more): {unused:#?}");
    ensure!(keys(Kind::Broker) == 314 && keys(Kind::Topic) == 36);
    Ok(())
}
