//! Owns JAAS texts: the login modules that a broker's SASL mechanisms take their users and credentials from. Kafka 3.9:
//! `JaasContext`, `JaasConfig`; Java: `sun.security.provider.ConfigFile`.
//!
//! ```text
//! property = module                                 sasl.jaas.config: exactly one for a broker
//! file     = section*                               the file of java.security.auth.login.config
//! section  = name { module* } ;
//! module   = class flag (key = value)* ;            class, key and value: a word or a string
//! ```
//! Values are secrets: nothing here shows them, and no message has a piece of the text but a control flag or a key.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use self::tokens::{Token, Tokens};
use crate::config::SystemProperties;
use crate::config::security::Password;

mod tokens;

/// The system property that names the JAAS file.
pub const LOGIN_CONFIG_PROPERTY: &str = "java.security.auth.login.config";

/// The section of a broker's listeners.
const KAFKA_SERVER: &str = "KafkaServer";

/// A JAAS text or file that cannot be used. The message is Kafka's or Java's, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JaasError(String);

impl JaasError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What a failed login module means to the others of its section. Kafka logs in to all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the JAAS text")]
pub enum ControlFlag {
    Required,
    Requisite,
    Sufficient,
    Optional,
}

impl ControlFlag {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "required" => Self::Required,
            "requisite" => Self::Requisite,
            "sufficient" => Self::Sufficient,
            "optional" => Self::Optional,
            _ => return None,
        })
    }
}

/// One entry of a JAAS text. Kafka 3.9: `AppConfigurationEntry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginModule {
    /// Java's name of the class, which tells what the options mean.
    pub class: String,
    /// The control flag.
    pub flag: ControlFlag,
    /// The options. Of two with one key the last is kept.
    pub options: BTreeMap<String, Password>,
}

impl LoginModule {
    /// The value of an option.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(Password::expose)
    }

    /// Whether an option is given as `true` in any case.
    pub fn is_true(&self, key: &str) -> bool {
        self.option(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// Reads the text of a property `sasl.jaas.config`, which has one login module.
pub fn parse_property(text: &str) -> Result<LoginModule, JaasError> {
    let mut tokens = Tokens::new(text);
    let mut modules = Vec::new();
    loop {
        match tokens.next_token() {
            Token::End => break,
            first => modules.push(property_module(&mut tokens, first)?),
        }
    }
    match modules.len() {
        0 => Err(JaasError::new("Login module not specified in JAAS config")),
        1 => Ok(modules.remove(0)),
        count => Err(JaasError::new(format!(
            "JAAS config property contains {count} login modules, should be 1 module"
        ))),
    }
}

/// A token's text, if it has one.
fn text(token: Token) -> Option<String> {
    match token {
        Token::Word(text) | Token::Quoted(text, _) => Some(text),
        _ => None,
    }
}

fn property_module(tokens: &mut Tokens, class: Token) -> Result<LoginModule, JaasError> {
    let flag = match tokens.next_token() {
        Token::End => {
            return Err(JaasError::new(
                "Login module control flag not specified in JAAS config",
            ));
        }
        token => text(token)
            .ok_or_else(|| JaasError::new("Login module control flag is not available in the JAAS config"))?,
    };
    let flag = ControlFlag::parse(&flag).ok_or_else(|| {
        JaasError::new(format!(
            "Invalid login module control flag '{flag}' in JAAS config"
        ))
    })?;
    let mut options = BTreeMap::new();
    loop {
        let key = match tokens.next_token() {
            Token::Other(';') => break,
            Token::End => return Err(JaasError::new("JAAS config entry not terminated by semi-colon")),
            token => text(token).unwrap_or_else(|| "null".to_owned()),
        };
        let value = match tokens.next_token() {
            Token::Other('=') => text(tokens.next_token()),
            _ => None,
        };
        let value = value
            .ok_or_else(|| JaasError::new(format!("Value not specified for key '{key}' in JAAS config")))?;
        options.insert(key, Password::new(value));
    }
    let class = text(class).ok_or_else(|| JaasError::new("loginModuleName is null or has length 0"))?;
    Ok(LoginModule { class, flag, options })
}

/// A JAAS file, which has a section for every use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JaasFile {
    sections: HashMap<String, Vec<LoginModule>>,
}

impl JaasFile {
    /// Reads the file that the system property names, if it is set.
    pub fn configured(properties: &SystemProperties) -> Result<Option<Self>, JaasError> {
        let Some(value) = properties.get(LOGIN_CONFIG_PROPERTY) else {
            return Ok(None);
        };
        // In Java a second equals sign says that no other configuration counts; there is none here.
        let path = value.strip_prefix('=').unwrap_or(value);
        let path = path.strip_prefix("file:").unwrap_or(path);
        Self::load(Path::new(path), properties).map(Some)
    }

    /// Reads a file. The values of options may name system properties as `${name}`.
    pub fn load(path: &Path, properties: &SystemProperties) -> Result<Self, JaasError> {
        let bytes = std::fs::read(path).map_err(|error| {
            let reason = match error.kind() {
                std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
                std::io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
                _ => error.to_string(),
            };
            JaasError::new(format!("{} ({reason})", path.display()))
        })?;
        Self::parse(&String::from_utf8_lossy(&bytes), properties)
            .map_err(|error| JaasError::new(format!("{}: {error}", path.display())))
    }

    /// Reads the text of a file.
    pub fn parse(text: &str, properties: &SystemProperties) -> Result<Self, JaasError> {
        let mut parser = FileParser::new(text, properties);
        let mut sections = HashMap::new();
        while parser.lookahead != Token::End {
            let (name, modules) = parser.section()?;
            if sections.contains_key(&name) {
                return Err(configuration_error(&format!(
                    "Can not specify multiple entries for {name}"
                )));
            }
            sections.insert(name, modules);
        }
        Ok(Self { sections })
    }

    /// The login modules of a section.
    pub fn section(&self, name: &str) -> Option<Vec<LoginModule>> {
        self.sections.get(name).cloned()
    }
}

fn configuration_error(text: &str) -> JaasError {
    JaasError::new(format!("Configuration Error: {text}"))
}

/// Reads sections with one token of lookahead.
struct FileParser<'a> {
    tokens: Tokens<'a>,
    lookahead: Token,
    properties: &'a SystemProperties,
}

impl<'a> FileParser<'a> {
    fn new(text: &'a str, properties: &'a SystemProperties) -> Self {
        let mut tokens = Tokens::new(text);
        let lookahead = tokens.next_token();
        Self {
            tokens,
            lookahead,
            properties,
        }
    }

    fn section(&mut self) -> Result<(String, Vec<LoginModule>), JaasError> {
        let name = self.text("section name")?;
        self.expect('{')?;
        let mut modules = Vec::new();
        while self.lookahead != Token::Other('}') {
            modules.push(self.module()?);
        }
        self.expect('}')?;
        self.expect(';')?;
        Ok((name, modules))
    }

    fn module(&mut self) -> Result<LoginModule, JaasError> {
        let class = self.text("module class name")?;
        let flag = self.text("controlFlag")?;
        let flag = ControlFlag::parse(&flag)
            .ok_or_else(|| configuration_error(&format!("Invalid control flag, {}", flag.to_uppercase())))?;
        let mut options = BTreeMap::new();
        while self.lookahead != Token::Other(';') {
            let key = self.text("option key")?;
            self.expect('=')?;
            let value = self.text("option value")?;
            options.insert(key, Password::new(self.expand(&value)?));
        }
        self.expect(';')?;
        Ok(LoginModule { class, flag, options })
    }

    fn advance(&mut self) -> Token {
        std::mem::replace(&mut self.lookahead, self.tokens.next_token())
    }

    fn expect(&mut self, wanted: char) -> Result<(), JaasError> {
        match self.lookahead {
            Token::Other(c) if c == wanted => {
                self.advance();
                Ok(())
            }
            _ => Err(self.unexpected(&wanted.to_string())),
        }
    }

    /// A word or a string in double quotes; the file form does not know single ones.
    fn text(&mut self, wanted: &str) -> Result<String, JaasError> {
        match self.lookahead {
            Token::Word(_) | Token::Quoted(_, true) => Ok(text(self.advance()).expect("it has a text")),
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn unexpected(&self, wanted: &str) -> JaasError {
        configuration_error(&match self.lookahead {
            Token::End => format!("expected [{wanted}], read [end of file]"),
            _ => format!("Line {}: expected [{wanted}]", self.tokens.line()),
        })
    }

    /// Puts system properties in the place of `${name}`, and a slash in that of `${/}`.
    fn expand(&self, value: &str) -> Result<String, JaasError> {
        let mut expanded = String::new();
        let mut rest = value;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, behind)) = after.split_once('}') else {
                break;
            };
            expanded.push_str(before);
            if let Some(doubled) = after.strip_prefix('{') {
                // Java keeps what stands in doubled braces as it is.
                let end = doubled
                    .find("}}")
                    .map_or(rest.len(), |at| before.len() + 3 + at + 2);
                expanded.push_str(&rest[before.len()..end]);
                rest = &rest[end..];
                continue;
            }
            let replacement = match name {
                "/" => "/",
                _ => self.properties.get(name).ok_or_else(|| {
                    let line = self.tokens.line();
                    configuration_error(&format!("Line {line}: unable to expand a system property"))
                })?,
            };
            expanded.push_str(replacement);
            rest = behind;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }
}

/// The login modules of one mechanism of one listener. Kafka 3.9: `JaasContext.loadServerContext`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JaasContext(Vec<LoginModule>);

impl JaasContext {
    /// Finds them: in the mechanism's own property, else in the section of the listener, else in that of all listeners.
    pub fn load_server(
        listener: &str,
        property: Option<&Password>,
        file: Option<&JaasFile>,
        properties: &SystemProperties,
    ) -> Result<Self, JaasError> {
        if let Some(text) = property {
            return parse_property(text.expose()).map(|module| Self(vec![module]));
        }
        let own_section = format!("{}.{KAFKA_SERVER}", listener.to_lowercase());
        let found = file.and_then(|file| file.section(&own_section).or_else(|| file.section(KAFKA_SERVER)));
        found.map(Self).ok_or_else(|| {
            let file = properties.get(LOGIN_CONFIG_PROPERTY).unwrap_or("not set");
            JaasError::new(format!(
                "Could not find a '{KAFKA_SERVER}' or '{own_section}' entry in the JAAS configuration. System property \
                 '{LOGIN_CONFIG_PROPERTY}' is {file}"
            ))
        })
    }

    /// All login modules, in their order.
    pub fn modules(&self) -> &[LoginModule] {
        &self.0
    }

    /// The first login module of a class.
    #[cfg(feature = "gssapi")]
    pub fn module(&self, class: &str) -> Option<&LoginModule> {
        self.0.iter().find(|module| module.class == class)
    }
}

#[cfg(test)]
mod tests;
