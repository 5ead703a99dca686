//! Owns names of Kerberos principals and the rules that make user names of them
//! (`sasl.kerberos.principal.to.local.rules`). Kafka 3.9: `KerberosName`, `KerberosShortNamer`, `KerberosRule`.
//!
//! ```text
//! name  = SERVICE[/HOST]@REALM, or a simple name without a realm
//! rule  = DEFAULT, or RULE:[N:FORMAT](PATTERN)s/FROM/TO/g/L     all behind the bracket may be missing
//! N     = how many parts the name must have; $0 in FORMAT is the realm, $1 and $2 are the parts
//! ```
//! The first rule that applies gives the name. Patterns are Java's: PATTERN must match as a whole, FROM is searched.

use std::fmt;

use fancy_regex::{Captures, Regex};

use super::error::SaslSetupError;

/// A principal's name in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KerberosName {
    /// The part before the slash.
    pub service: String,
    /// The part behind it.
    pub host: Option<String>,
    /// The part behind the at sign.
    pub realm: Option<String>,
}

/// A name that has no user name, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KerberosNameError(String);

impl KerberosName {
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self, KerberosNameError> {
        let Some((parts, realm)) = name.split_once('@') else {
            return Ok(Self {
                service: name.to_owned(),
                host: None,
                realm: None,
            });
        };
        let (service, host) = match parts.split_once('/') {
            Some((service, host)) => (service, Some(host)),
            None => (parts, None),
        };
        if host.is_some_and(|host| host.contains('/')) || realm.contains(['/', '@']) {
            return Err(KerberosNameError(format!("Malformed Kerberos name: {name}")));
        }
        Ok(Self {
            service: service.to_owned(),
            host: host.map(str::to_owned),
            realm: Some(realm.to_owned()),
        })
    }
}

impl fmt::Display for KerberosName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.service)?;
        if let Some(host) = &self.host {
            write!(f, "/{host}")?;
        }
        match &self.realm {
            Some(realm) => write!(f, "@{realm}"),
            None => Ok(()),
        }
    }
}

/// The rules of one listener, in their order.
#[derive(Clone, Debug)]
pub struct KerberosShortNamer {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
enum Rule {
    /// Takes the first part of names of this realm.
    Default {
        realm: String,
    },
    Rewrite(Box<Rewrite>),
}

#[derive(Clone, Debug)]
struct Rewrite {
    text: String,
    parts: usize,
    format: String,
    pattern: Option<Regex>,
    substitution: Option<Substitution>,
    case: Case,
}

#[derive(Clone, Debug)]
struct Substitution {
    from: Regex,
    to: String,
    repeats: bool,
}

#[derive(Clone, Copy, Debug)]
enum Case {
    Kept,
    Lower,
    Upper,
}

/// A rule as a whole; the groups are N, FORMAT, PATTERN, FROM, TO, g and L or U.
const RULE: &str =
    r"^(?:DEFAULT|RULE:\[([0-9]*):([^\]]*)\](?:\(([^)]*)\))?(?:s/([^/]*)/([^/]*)/(g)?)?/?(L|U)?)";

impl KerberosShortNamer {
    /// Reads the rules. `realm` is the one that the rule DEFAULT is for.
    pub fn parse(realm: &str, rules: &[String]) -> Result<Self, SaslSetupError> {
        let parser = Regex::new(RULE).expect("the pattern is well formed");
        let rules = rules.iter().map(|text| Rule::parse(&parser, realm, text));
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
        })
    }

    /// The user's name.
    pub fn short_name(&self, name: &KerberosName) -> Result<String, KerberosNameError> {
        let Some(realm) = &name.realm else {
            return Ok(name.service.clone());
        };
        let mut parts = vec![realm.as_str(), &name.service];
        parts.extend(name.host.as_deref());
        for rule in &self.rules {
            if let Some(found) = rule.apply(&parts)? {
                return Ok(found);
            }
        }
        Err(KerberosNameError(format!("No rules apply to {name}")))
    }
}

impl Rule {
    fn parse(parser: &Regex, realm: &str, text: &str) -> Result<Self, SaslSetupError> {
        let invalid = |more: &str| SaslSetupError::new(format!("Invalid rule: {more}"));
        let groups = parser
            .captures(text)
            .ok()
            .flatten()
            .ok_or_else(|| invalid(text))?;
        let whole = groups.get(0).expect("there is always one");
        if whole.end() != text.len() {
            let rest = &text[whole.end()..];
            return Err(invalid(&format!("`{text}`, unmatched substring: `{rest}`")));
        }
        let group = |number: usize| groups.get(number).map(|group| group.as_str());
        let Some(parts) = group(1) else {
            return Ok(Self::Default {
                realm: realm.to_owned(),
            });
        };
        let regex = |pattern: &str| Regex::new(pattern).map_err(|error| invalid(&format!("{text}: {error}")));
        let substitution = match (group(4), group(5)) {
            (Some(from), Some(to)) => Some(Substitution {
                from: regex(from)?,
                to: to.to_owned(),
                repeats: group(6).is_some(),
            }),
            _ => None,
        };
        Ok(Self::Rewrite(Box::new(Rewrite {
            text: text.to_owned(),
            parts: parts
                .parse()
                .map_err(|_| invalid(&format!("For input string: \"{parts}\"")))?,
            format: group(2).unwrap_or_default().to_owned(),
            pattern: group(3)
                .map(|pattern| regex(&format!("^(?:{pattern})$")))
                .transpose()?,
            substitution,
            case: match group(7) {
                Some("L") => Case::Lower,
                Some(_) => Case::Upper,
                None => Case::Kept,
            },
        })))
    }

    /// The name that the rule makes; `None` if it is not for such names. The first of the parts is the realm.
    fn apply(&self, parts: &[&str]) -> Result<Option<String>, KerberosNameError> {
        let (found, text, case) = match self {
            Self::Default { realm } => {
                let found = (realm == parts[0]).then(|| parts[1].to_owned());
                (found, "DEFAULT", Case::Kept)
            }
            Self::Rewrite(rule) => (rule.rewritten(parts)?, rule.text.as_str(), rule.case),
        };
        if let Some(name) = found.as_ref().filter(|name| name.contains(['/', '@'])) {
            return Err(KerberosNameError(format!(
                "Non-simple name {name} after auth_to_local rule {text}"
            )));
        }
        Ok(found.map(|name| match case {
            Case::Kept => name,
            Case::Lower => name.to_lowercase(),
            Case::Upper => name.to_uppercase(),
        }))
    }
}

impl Rewrite {
    fn rewritten(&self, parts: &[&str]) -> Result<Option<String>, KerberosNameError> {
        if parts.len() - 1 != self.parts {
            return Ok(None);
        }
        let base = self.formatted(parts)?;
        let matches = self
            .pattern
            .as_ref()
            .is_none_or(|pattern| pattern.is_match(&base).unwrap_or(false));
        if !matches {
            return Ok(None);
        }
        Ok(Some(match &self.substitution {
            None => base,
            Some(substitution) => substitution.applied(&base)?,
        }))
    }

    /// The format with the parts in the places of `$0`, `$1` and `$2`. A dollar sign alone stands for nothing.
    fn formatted(&self, parts: &[&str]) -> Result<String, KerberosNameError> {
        let mut pieces = self.format.split('$');
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = piece.split_at(digits);
            let part = number.parse().ok().and_then(|number: usize| parts.get(number));
            let part = part.ok_or_else(|| {
                let format = &self.format;
                KerberosNameError(format!(
                    "index {number} from {format} is outside of the valid range"
                ))
            })?;
            text.push_str(part);
            text.push_str(rest);
        }
        Ok(text)
    }
}

impl Substitution {
    fn applied(&self, base: &str) -> Result<String, KerberosNameError> {
        let (mut text, mut end) = (String::new(), 0);
        for found in self.from.captures_iter(base) {
            let Ok(groups) = found else {
                // The pattern takes too long on this name.
                break;
            };
            let whole = groups.get(0).expect("there is always one");
            text.push_str(&base[end..whole.start()]);
            text.push_str(&self.replacement(&groups)?);
            end = whole.end();
            if !self.repeats {
                break;
            }
        }
        text.push_str(&base[end..]);
        Ok(text)
    }

    /// As Java does it: `$1` is a group, a backslash takes the next character as it is.
    fn replacement(&self, groups: &Captures<'_, str>) -> Result<String, KerberosNameError> {
        let wrong = || KerberosNameError(format!("the replacement {} is wrong", self.to));
        let mut text = String::new();
        let mut rest = self.to.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\\' => text.push(rest.next().ok_or_else(wrong)?),
                '$' => {
                    let digit = rest.next().and_then(|c| c.to_digit(10)).ok_or_else(wrong)?;
                    let mut number = digit as usize;
                    if number >= groups.len() {
                        return Err(wrong());
                    }
                    // More digits belong to it as long as there is such a group.
                    while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10))
                        && number * 10 + (digit as usize) < groups.len()
                    {
                        number = number * 10 + digit as usize;
                        rest.next();
                    }
                    text.push_str(groups.get(number).map_or("", |group| group.as_str()));
                }
                c => text.push(c),
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn short(rules: &[&str], name: &str) -> Result<String, String> {
        let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
        let namer = KerberosShortNamer::parse("REALM", &rules).map_err(|error| error.to_string())?;
        let name = KerberosName::parse(name).map_err(|error| error.to_string())?;
        namer.short_name(&name).map_err(|error| error.to_string())
    }

    #[test]
    fn names_have_parts() {
        for name in ["kafka/host.x@REALM", "alice@REALM", "simple", "@", "/@R", "a/b"] {
            assert_eq!(KerberosName::parse(name).expect(name).to_string(), name);
        }
        let name = KerberosName::parse("kafka/host@R").expect("it is well formed");
        assert_eq!(
            (name.service.as_str(), name.host.as_deref()),
            ("kafka", Some("host"))
        );
        for name in ["a/b/c@R", "a@R@S", "a@R/S"] {
            let error = KerberosName::parse(name).expect_err(name);
            assert_eq!(error.to_string(), format!("Malformed Kerberos name: {name}"));
        }
    }

    #[test]
    fn the_first_rule_that_applies_gives_the_name() {
        for (rules, name, expected) in [
            (&["DEFAULT"][..], "alice@REALM", "alice"),
            (&["DEFAULT"], "kafka/host@REALM", "kafka"),
            (&["DEFAULT"], "simple", "simple"),
            (&["RULE:[1:$1]"], "alice@OTHER", "alice"),
            (
                &["RULE:[1:$1@$0](.*@OTHER)s/@.*//", "DEFAULT"],
                "alice@OTHER",
                "alice",
            ),
            (
                &["RULE:[1:$1@$0](.*@OTHER)s/@.*//", "DEFAULT"],
                "alice@REALM",
                "alice",
            ),
            (&["RULE:[2:$1-$2]", "DEFAULT"], "kafka/host@REALM", "kafka-host"),
            (&["RULE:[2:$1-$2]", "DEFAULT"], "alice@REALM", "alice"),
            (&["RULE:[1:$1]/L"], "ALICE@X", "alice"),
            (&["RULE:[1:$1]L"], "ALICE@X", "alice"),
            (&["RULE:[1:$1]/U"], "alice@X", "ALICE"),
            (&["RULE:[1:$1]s/a/b/g"], "banana@X", "bbnbnb"),
            (&["RULE:[1:$1]s/a/b/"], "banana@X", "bbnana"),
            (&["RULE:[1:$1]s/a/b/g/L"], "BaNaNa@X", "bbnbnb"),
            (&["RULE:[1:$1]s/(.)(.)(.*)/$2$1-$3/"], "alice@X", "la-ice"),
            (
                &["RULE:[1:$1](al.*)s/$/.x/", "RULE:[1:other]"],
                "alice@X",
                "alice.x",
            ),
            (&["RULE:[1:$1](al)", "RULE:[1:other]"], "alice@X", "other"),
            (&["RULE:[1:$1]s/x*/-/g"], "ab@X", "-a-b-"),
        ] {
            assert_eq!(short(rules, name).as_deref(), Ok(expected), "{rules:?} {name}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        for (rules, name, message) in [
            (&["DEFAULT"][..], "alice@OTHER", "No rules apply to alice@OTHER"),
            (&[], "alice@REALM", "No rules apply to alice@REALM"),
            (
                &["RULE:[1:$1@$0]"],
                "a@X",
                "Non-simple name a@X after auth_to_local rule RULE:[1:$1@$0]",
            ),
            (
                &["RULE:[1:$3]"],
                "a@X",
                "index 3 from $3 is outside of the valid range",
            ),
            (&["RULE:[1:$1]s/a/$1/"], "a@X", "the replacement $1 is wrong"),
        ] {
            assert_eq!(short(rules, name), Err(message.to_owned()), "{rules:?} {name}");
        }
    }

    #[test]
    fn wrong_rules_are_refused_with_kafkas_messages() {
        for (rule, message) in [
            ("FOO", "Invalid rule: FOO"),
            ("default", "Invalid rule: default"),
            ("", "Invalid rule: "),
            (
                "DEFAULT/L",
                "Invalid rule: `DEFAULT/L`, unmatched substring: `/L`",
            ),
            ("RULE:[1:$1", "Invalid rule: RULE:[1:$1"),
            (
                "RULE:[1:$1]x",
                "Invalid rule: `RULE:[1:$1]x`, unmatched substring: `x`",
            ),
            ("RULE:[:$1]", "Invalid rule: For input string: \"\""),
        ] {
            assert_eq!(short(&[rule], "a@X"), Err(message.to_owned()), "{rule}");
        }
        assert!(short(&["RULE:[1:$1](*)"], "a@X").is_err());
    }

    proptest! {
        #[test]
        fn any_rule_and_name_are_taken_or_refused(
            rule in r"RULE:\[[12]:[$0-9a-z@]{0,6}\](\([a-z.*]{0,5}\))?(s/[a-z.()*]{0,5}/[a-z$\\0-9]{0,5}/g?)?/?[LU]?|\PC{0,20}",
            name in r"[a-zA-Z/@.]{0,12}|\PC{0,12}",
        ) {
            let _ = short(&[&rule], &name);
        }
    }
}
