//! The metrics of a broker under the names of Kafka's MBeans, shown as Prometheus text. A [`Registry`] is a value; a
//! component that has metrics is given one, and the registry knows none of them.
//! Kafka 3.9: `KafkaMetricsGroup`, Yammer's `MetricsRegistry`, and the exporter that is usually put beside it.
//!
//! None of the crates for this fits: `metrics-exporter-prometheus` wants a recorder for the whole process where many
//! brokers live in one, `prometheus-client` knows neither Yammer's rates nor removal of one metric of a family, and what
//! makes these metrics Kafka's, their names, would be ours to write with either.

mod endpoint;
mod exposition;
mod histogram;
mod meter;
mod metric;
mod name;
mod registry;
mod sampled;
mod timer;

pub use endpoint::MetricsServer;
pub use histogram::Histogram;
pub use meter::Meter;
pub use name::MetricName;
pub use registry::Registry;
pub use sampled::{SampledRate, SampledTimes};
pub use timer::Timer;
