//! Owns the Java system properties that Kafka's security takes: `-Dname=value`. A JVM gets them on its command line,
//! where Kafka's start scripts put the variable `KAFKA_OPTS`. They name the JAAS file and the settings of the ZooKeeper
//! client.

use std::collections::BTreeMap;

/// The properties of one broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemProperties(BTreeMap<String, String>);

impl SystemProperties {
    /// Reads every `-Dname=value` of a text such as that of `KAFKA_OPTS`; other words are ignored. A word may be quoted
    /// with `"` or `'`.
    pub fn parse(options: &str) -> Self {
        let words = words(options);
        let definitions = words.iter().filter_map(|word| word.strip_prefix("-D"));
        Self(definitions.map(split).collect())
    }

    /// Sets one property, given as `name=value`.
    pub fn define(&mut self, definition: &str) {
        let (name, value) = split(definition);
        self.0.insert(name, value);
    }

    /// The property's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn split(definition: &str) -> (String, String) {
    let (name, value) = definition.split_once('=').unwrap_or((definition, ""));
    (name.to_owned(), value.to_owned())
}

/// Splits at blanks as a shell does, without its escapes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut is_word, mut quote) = (String::new(), false, None);
    for c in text.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => word.push(c),
            None if c == '"' || c == '\'' => (quote, is_word) = (Some(c), true),
            None if c.is_whitespace() => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            None => {
                word.push(c);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_found_among_the_options_of_a_jvm() {
        let options =
            "-Xmx1g -Djava.security.auth.login.config=/etc/kafka/jaas.conf '-Da=b c' -Dempty -D\"q\"=\"x=y\"";
        let properties = SystemProperties::parse(options);
        assert_eq!(
            properties.get("java.security.auth.login.config"),
            Some("/etc/kafka/jaas.conf")
        );
        assert_eq!(properties.get("a"), Some("b c"));
        assert_eq!(properties.get("empty"), Some(""));
        assert_eq!(properties.get("q"), Some("x=y"));
        assert_eq!(properties.get("mx1g"), None);
    }

    #[test]
    fn a_later_definition_wins() {
        let mut properties = SystemProperties::parse("-Da=1 -Da=2");
        assert_eq!(properties.get("a"), Some("2"));
        properties.define("a=3");
        assert_eq!(properties.get("a"), Some("3"));
    }
}
