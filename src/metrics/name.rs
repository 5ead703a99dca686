//! Builds the names of metrics. Kafka 3.9: `KafkaMetricsGroup.metricName`.

/// The name of an MBean, `group:type=type,name=name,tag=value,…`. Names are ordered so that the metrics of one family,
/// which differ only in their tags, are next to each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricName {
    group: &'static str,
    kind: &'static str,
    name: String,
    tags: Vec<(String, String)>,
}

impl MetricName {
    /// A name without tags, such as `kafka.controller`, `KafkaController`, `ActiveControllerCount`.
    pub fn new(group: &'static str, kind: &'static str, name: impl Into<String>) -> Self {
        Self {
            group,
            kind,
            name: name.into(),
            tags: Vec::new(),
        }
    }

    /// Adds a tag. As in Kafka, a tag without a value is left out.
    pub fn tag(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        let value = value.to_string();
        if !value.is_empty() {
            self.tags.push((key.into(), value));
        }
        self
    }

    /// The value of `name=`, unchanged.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn tags(&self) -> &[(String, String)] {
        &self.tags
    }

    /// The family in Prometheus, `kafka_log_logcleaner` and the name: in lower case, with `_` for characters that
    /// Prometheus does not allow.
    pub(super) fn family(&self, name: &str) -> String {
        let family = format!("{}_{}_{name}", self.group, self.kind);
        family
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '_'
                }
            })
            .collect()
    }
}

impl std::fmt::Display for MetricName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:type={},name={}", self.group, self.kind, self.name)?;
        self.tags
            .iter()
            .try_for_each(|(key, value)| write!(f, ",{key}={value}"))
    }
}
