//! Makes the name of a principal from a distinguished name: `ssl.principal.mapping.rules`. Kafka 3.9:
//! `SslPrincipalMapper`.
//!
//! ```text
//! rules = rule [, rule …]          rule = DEFAULT | RULE:pattern/replacement/[L|U]
//! ```
//! The first rule whose pattern matches the whole name wins. A slash or comma in a rule is written `\/` or `\,`.

use fancy_regex::{Captures, Regex};

use super::AuthenticationError;

/// Parsed rules.
#[derive(Debug)]
pub struct PrincipalMapping {
    rules: Vec<Rule>,
    text: String,
}

#[derive(Debug)]
enum Rule {
    /// The name as it is.
    Default,
    Pattern(Box<Pattern>),
}

/// `RULE:pattern/replacement/[L|U]`.
#[derive(Debug)]
struct Pattern {
    /// The pattern as it must match.
    whole: Regex,
    /// The pattern as it is replaced.
    pattern: Regex,
    replacement: String,
    case: Option<Case>,
}

#[derive(Clone, Copy, Debug)]
enum Case {
    Lower,
    Upper,
}

/// The rules cannot be read. Kafka 3.9: `IllegalArgumentException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid rule: `{rule}`, unmatched substring: `{rest}`")]
pub struct InvalidRule {
    rule: String,
    rest: String,
}

impl PrincipalMapping {
    /// Parses rules; an empty text is `DEFAULT`.
    pub fn parse(text: &str) -> Result<Self, InvalidRule> {
        let mut rules = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let invalid = || InvalidRule {
                rule: text.to_owned(),
                rest: rest.to_owned(),
            };
            let (rule, behind) = Self::next(rest).ok_or_else(invalid)?;
            rules.push(rule);
            let behind = behind.trim_start();
            rest = match behind.strip_prefix(',') {
                Some(behind) => behind.trim_start(),
                None if behind.is_empty() => behind,
                None => return Err(invalid()),
            };
        }
        if rules.is_empty() {
            rules.push(Rule::Default);
        }
        Ok(Self {
            rules,
            text: text.to_owned(),
        })
    }

    /// Parses the first rule of a text. Returns what is behind it.
    fn next(text: &str) -> Option<(Rule, &str)> {
        if let Some(behind) = text.strip_prefix("DEFAULT") {
            return Some((Rule::Default, behind));
        }
        let (pattern, behind) = until_slash(text.strip_prefix("RULE:")?)?;
        let (replacement, mut behind) = until_slash(behind)?;
        let mut case = None;
        for (letter, meant) in [('L', Case::Lower), ('U', Case::Upper)] {
            if let Some(rest) = behind.strip_prefix(letter) {
                (case, behind) = (Some(meant), rest);
                break;
            }
        }
        let rule = Pattern {
            whole: Regex::new(&format!("^(?:{pattern})$")).ok()?,
            pattern: Regex::new(&pattern).ok()?,
            replacement,
            case,
        };
        Some((Rule::Pattern(Box::new(rule)), behind))
    }

    /// The name of the principal of a certificate with this distinguished name.
    pub fn name(&self, distinguished_name: &str) -> Result<String, AuthenticationError> {
        for rule in &self.rules {
            match rule {
                Rule::Default => return Ok(distinguished_name.to_owned()),
                Rule::Pattern(rule) => {
                    let Pattern {
                        whole,
                        pattern,
                        replacement,
                        case,
                    } = &**rule;
                    // An error is a pattern that would take too long.
                    if !whole.is_match(distinguished_name).unwrap_or(false) {
                        continue;
                    }
                    let replaced = replace_all(pattern, distinguished_name, replacement);
                    return Ok(match case {
                        Some(Case::Lower) => replaced.to_lowercase(),
                        Some(Case::Upper) => replaced.to_uppercase(),
                        None => replaced,
                    });
                }
            }
        }
        Err(AuthenticationError::new(format!(
            "No rules apply to {distinguished_name}, rules {}",
            self.text
        )))
    }
}

/// The text up to the next slash that is not escaped, without the escapes of slashes and commas, and what is behind.
fn until_slash(text: &str) -> Option<(String, &str)> {
    let mut found = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '/' => return Some((found, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                escaped @ ('/' | ',') => found.push(escaped),
                other => found.extend(['\\', other]),
            },
            _ => found.push(c),
        }
    }
    None
}

/// Replaces every match as Java does: behind a match, an empty one at its end is replaced too.
fn replace_all(pattern: &Regex, text: &str, replacement: &str) -> String {
    let mut replaced = String::new();
    let (mut copied, mut from) = (0, 0);
    while from <= text.len()
        && let Ok(Some(found)) = pattern.captures_from_pos(text, from)
        && let Some(whole) = found.get(0)
    {
        replaced.push_str(&text[copied..whole.start()]);
        replaced.push_str(&expand(replacement, &found));
        copied = whole.end();
        let behind = text[copied..].chars().next();
        from = match whole.start() == whole.end() {
            true => copied + behind.map_or(1, char::len_utf8),
            false => copied,
        };
    }
    replaced + &text[copied.min(text.len())..]
}

/// Puts groups in the place of `$1`. What is no group stays as it is.
fn expand(replacement: &str, found: &Captures<'_, str>) -> String {
    let mut expanded = String::new();
    let mut rest = replacement;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let digit = rest[at + 1..].chars().next().and_then(|c| c.to_digit(10));
        match digit {
            Some(number) if (number as usize) < found.len() => {
                expanded.push_str(found.get(number as usize).map_or("", |group| group.as_str()));
                rest = &rest[at + 2..];
            }
            _ => {
                expanded.push('$');
                rest = &rest[at + 1..];
            }
        }
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(rules: &str, distinguished_name: &str) -> Option<String> {
        PrincipalMapping::parse(rules)
            .unwrap()
            .name(distinguished_name)
            .ok()
    }

    #[test]
    fn names_are_those_of_kafka() {
        let with_default = "RULE:^CN=(.*?),OU=(.*?),O=(.*?),.*$/$1@$2.$3/L,DEFAULT";
        let (alice, broker) = (
            "CN=alice,OU=Clients,O=Barnabas,L=Z,C=CH",
            "CN=broker0,OU=Brokers,O=Barnabas",
        );
        for (rules, distinguished_name, expected) in [
            ("", alice, Some(alice)),
            ("DEFAULT", alice, Some(alice)),
            ("RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/", alice, None),
            (with_default, alice, Some("alice@clients.barnabas")),
            (with_default, broker, Some(broker)),
            (
                "RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L",
                "OU=x,CN=Bob.Smith,O=y",
                Some("bob.smith"),
            ),
            (r"RULE:^CN=(.*?),.*$/u-$1-\,x/", alice, Some("u-alice-,x")),
            (r"RULE:^CN=a\/b.*$/slash/", "CN=a/b,O=c", Some("slash")),
            ("RULE:CN=alice/x/", alice, None),
            ("RULE:.*/other/", "O=x", Some("otherother")),
            ("RULE:^CN=(.*?),OU=.*$/$2/", alice, Some("$2")),
            ("RULE:^(.*)$//", alice, Some("")),
            (" RULE:^CN=(.*?),.*$/$1/U , DEFAULT ", alice, Some("ALICE")),
        ] {
            assert_eq!(name(rules, distinguished_name).as_deref(), expected, "{rules}");
        }
    }

    #[test]
    fn rules_that_cannot_be_read_are_refused_with_kafkas_text() {
        let text = PrincipalMapping::parse("FOO").unwrap_err().to_string();
        assert_eq!(text, "Invalid rule: `FOO`, unmatched substring: `FOO`");
        for rules in [
            "RULE:^CN=(.*)$/$1",
            "RULE:^CN=(.*)$/$1/X",
            "RULE:(/x/",
            "DEFAULT DEFAULT",
        ] {
            assert!(PrincipalMapping::parse(rules).is_err(), "{rules}");
        }
    }
}
