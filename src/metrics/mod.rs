//! Owns the metrics of a broker, under the names of Kafka's MBeans, and shows them as Prometheus text. A [`Registry`]
//! is a value: each component that has metrics gets one, and the registry does not know the components. Kafka 3.9:
//! `KafkaMetricsGroup`, Yammer's `MetricsRegistry`, and the exporter that users usually add.
//!
//! No crate for metrics fits. `metrics-exporter-prometheus` needs one recorder for the whole process, but one process
//! may run many brokers. `prometheus-client` has neither Yammer's rates nor the removal of a single metric from a
//! family. With either crate, Kafka's metric names would still have to be written here.

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
