//! Gives the reason for each answer in which barnabas differs from Apache Kafka.

use crate::{Answer, Question};

const PROTECTION: &str =
    "a protection that is not built yet is refused at the start, so that nobody lies open who counts on it";
const CLASS: &str = "classes cannot be loaded, so that it is not known which exist";
const SELECTOR: &str =
    "a replica selector must be one of Kafka's two; Kafka fails at the start if there is no such class";
const PROTOCOL: &str = "barnabas speaks inter-broker protocol 3.9 only";
const KRAFT: &str = "what makes a broker a KRaft node is refused";
const PROVIDER: &str = "classes and providers of a JVM cannot be loaded, so a key that names one is refused";
const PORT: &str = "a port lies between 0 and 65535; Kafka finds that out when it binds";
const HEXADECIMAL: &str = "hexadecimal fractions are not read";
const NOT_A_NUMBER: &str = "NaN is no part of a log";

/// All reasons. Each must explain at least one difference.
pub(crate) const REASONS: &[&str] = &[
    PROTECTION,
    CLASS,
    SELECTOR,
    PROTOCOL,
    KRAFT,
    PROVIDER,
    PORT,
    HEXADECIMAL,
    NOT_A_NUMBER,
];

/// The reason why the answers differ, if the difference is intended.
pub(crate) fn reason(question: &Question, ours: &Answer, kafkas: &Answer) -> Option<&'static str> {
    let value = question.settings.get(&question.key)?.trim();
    match (ours, kafkas) {
        (Err(_), Ok(_)) => match question.key.as_str() {
            "alter.config.policy.class.name"
            | "authorizer.class.name"
            | "client.quota.callback.class"
            | "create.topic.policy.class.name"
            | "zookeeper.ssl.crl.enable"
            | "zookeeper.ssl.ocsp.enable" => Some(PROTECTION),
            "security.providers" | "ssl.engine.factory.class" | "ssl.provider" => Some(PROVIDER),
            "replica.selector.class" => Some(SELECTOR),
            "inter.broker.protocol.version" => Some(PROTOCOL),
            "controller.quorum.bootstrap.servers" => Some(KRAFT),
            "listeners" | "advertised.listeners" if value.ends_with(":-1") || value.ends_with(":65536") => {
                Some(PORT)
            }
            "min.cleanable.dirty.ratio" | "log.cleaner.min.cleanable.ratio" if value == "NaN" => {
                Some(NOT_A_NUMBER)
            }
            _ if value.starts_with("0x") => Some(HEXADECIMAL),
            _ => None,
        },
        (Ok(_), Err(reason)) => match question.key.as_str() {
            "group.consumer.assignors"
            | "sasl.client.callback.handler.class"
            | "sasl.login.callback.handler.class"
            | "sasl.login.class"
            | "sasl.server.callback.handler.class"
            | "ssl.engine.factory.class"
                if reason.contains("lass ") =>
            {
                Some(CLASS)
            }
            _ => None,
        },
        _ => None,
    }
}
