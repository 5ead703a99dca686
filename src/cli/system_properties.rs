//! The options that stand for the system properties of a JVM.

use crate::config::SystemProperties;

/// The variable in which Kafka's start scripts take options of the JVM.
const KAFKA_OPTS: &str = "KAFKA_OPTS";

#[derive(clap::Args)]
pub(super) struct SystemPropertyArguments {
    /// A system property as a JVM takes it, such as java.security.auth.login.config=FILE; may be given many times. The
    /// variable KAFKA_OPTS is read too.
    #[arg(short = 'D', value_name = "NAME=VALUE")]
    system_properties: Vec<String>,
}

impl SystemPropertyArguments {
    /// The properties of the variable, replaced by those of the command line.
    pub(super) fn read(&self) -> SystemProperties {
        let mut properties = SystemProperties::parse(&std::env::var(KAFKA_OPTS).unwrap_or_default());
        for definition in &self.system_properties {
            properties.define(definition);
        }
        properties
    }
}
