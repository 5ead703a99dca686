//! Writes metrics in Prometheus' text format 0.0.4. The names are those in the dashboards of Kafka's users: they follow
//! the rules for Kafka that come with Prometheus' JMX exporter.
//!
//! | MBean `kafka.group:type=Type,name=Name,tag=value` | sample |
//! |---|---|
//! | gauge | `kafka_group_type_name{tag="value"}` |
//! | gauge whose name has `Percent` at its end | `kafka_group_type_na_percent{…}`, the name up to that word |
//! | meter whose name ends in `PerSec` | `kafka_group_type_na_total{…}`, a counter, the name without that word |
//! | any other meter | `kafka_group_type_name_count{…}` |
//! | rate of Kafka's own metrics, `kafka.group:type=Type` with the attributes `name-rate` and `name-count` | `kafka_group_type_name_rate{…}`, `kafka_group_type_name_count{…}` |
//! | times of Kafka's own metrics, with `name-max` and `name-avg` | `kafka_group_type_name_max{…}`, `kafka_group_type_name_avg{…}` |
//! | histogram, timer | `kafka_group_type_name_count{…}` and `kafka_group_type_name{…,quantile="0.99"}` |
//!
//! Names are in lower case, with `_` for characters that Prometheus does not allow; labels are Kafka's. Values that the
//! rules leave out are added under the attribute's name: `…_oneminuterate`, `…_fiveminuterate`, `…_fifteenminuterate`
//! of meters and timers, `…_min`, `…_max`, `…_mean` of histograms and timers. Times are in milliseconds.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::histogram::HistogramSnapshot;
use super::metric::Metric;
use super::name::MetricName;

/// Yammer's quantiles, as the rules write them.
const QUANTILES: [(f64, &str); 6] = [
    (0.5, "0.50"),
    (0.75, "0.75"),
    (0.95, "0.95"),
    (0.98, "0.98"),
    (0.99, "0.99"),
    (0.999, "0.999"),
];
const RATES: [&str; 3] = ["oneminuterate", "fiveminuterate", "fifteenminuterate"];
const MICROS_PER_MILLI: f64 = 1000.0;

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// Samples by family: the format needs all samples of one family together.
#[derive(Default)]
struct Families(BTreeMap<String, (Option<Kind>, String)>);

pub(super) fn text(metrics: &[(MetricName, Metric)]) -> String {
    let mut families = Families::default();
    for (name, metric) in metrics {
        families.add(name, metric);
    }
    let mut text = String::new();
    for (family, (kind, samples)) in families.0 {
        let kind = match kind {
            Some(Kind::Counter) => "counter",
            _ => "gauge",
        };
        let _ = write!(text, "# TYPE {family} {kind}\n{samples}");
    }
    text
}

impl Families {
    fn add(&mut self, name: &MetricName, metric: &Metric) {
        match metric {
            Metric::Gauge(value) => {
                let family = match name.name().strip_suffix("Percent") {
                    Some(stem) => format!("{stem}_percent"),
                    None => name.name().to_owned(),
                };
                self.sample(name, &family, Kind::Gauge, None, value());
            }
            Metric::Meter(meter) => {
                let family = match name.name().strip_suffix("PerSec") {
                    Some(stem) => format!("{stem}_total"),
                    None => format!("{}_count", name.name()),
                };
                self.sample(name, &family, Kind::Counter, None, meter.count() as f64);
                self.rates(name, meter.rates());
            }
            Metric::SampledRate(rate) => {
                let family = |attribute| format!("{}_{attribute}", name.name());
                self.sample(name, &family("count"), Kind::Counter, None, rate.count() as f64);
                self.sample(name, &family("rate"), Kind::Gauge, None, rate.per_second());
            }
            Metric::SampledTimes(times) => {
                for (attribute, value) in [("max", times.max()), ("avg", times.average())] {
                    let family = format!("{}_{attribute}", name.name());
                    self.sample(name, &family, Kind::Gauge, None, value);
                }
            }
            Metric::Histogram(histogram) => self.spread(name, &histogram.snapshot(), 1.0),
            Metric::Timer(timer) => {
                self.spread(name, &timer.snapshot(), MICROS_PER_MILLI);
                self.rates(name, timer.rates());
            }
        }
    }

    fn rates(&mut self, name: &MetricName, rates: [f64; 3]) {
        for (attribute, rate) in RATES.iter().zip(rates) {
            let family = format!("{}_{attribute}", name.name());
            self.sample(name, &family, Kind::Gauge, None, rate);
        }
    }

    fn spread(&mut self, name: &MetricName, snapshot: &HistogramSnapshot, unit: f64) {
        let family = name.name();
        let count = snapshot.count as f64;
        self.sample(name, &format!("{family}_count"), Kind::Counter, None, count);
        for (share, label) in QUANTILES {
            self.sample(
                name,
                family,
                Kind::Gauge,
                Some(label),
                snapshot.quantile(share) / unit,
            );
        }
        for (attribute, value) in [
            ("min", snapshot.min as f64),
            ("max", snapshot.max as f64),
            ("mean", snapshot.mean()),
        ] {
            self.sample(
                name,
                &format!("{family}_{attribute}"),
                Kind::Gauge,
                None,
                value / unit,
            );
        }
    }

    fn sample(&mut self, name: &MetricName, family: &str, kind: Kind, quantile: Option<&str>, value: f64) {
        let family = name.family(family);
        let tags = name
            .tags()
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let labels = tags
            .chain(quantile.map(|quantile| ("quantile", quantile)))
            .map(|(key, value)| format!("{}=\"{}\"", label(key), escaped(value)));
        let labels: Vec<_> = labels.collect();
        let value = match value {
            v if v.is_nan() => "NaN".to_owned(),
            v if v.is_infinite() => if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
            v => v.to_string(),
        };
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let sample = format!("{family}{labels} {value}\n");
        let (known, samples) = self.0.entry(family).or_default();
        known.get_or_insert(kind);
        samples.push_str(&sample);
    }
}

/// `client-id` becomes `client_id`: other characters are not allowed in labels.
fn label(key: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    key.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Registry;
    use super::*;
    use crate::common::clock::ManualClock;

    #[test]
    fn names_are_those_of_the_usual_rules() {
        let registry = Registry::new(ManualClock::at(0));
        let cleaner = MetricName::new("kafka.log", "LogCleaner", "max-clean-time-secs");
        registry.gauge(cleaner, || 7.0);
        let idle = "RequestHandlerAvgIdlePercent";
        registry.gauge(
            MetricName::new("kafka.server", "KafkaRequestHandlerPool", idle),
            || 0.5,
        );
        let bytes = MetricName::new("kafka.server", "BrokerTopicMetrics", "BytesInPerSec");
        registry.meter(bytes.clone()).mark(10);
        registry.meter(bytes.tag("topic", "a\"b")).mark(4);
        let batch = MetricName::new("kafka.controller", "ControllerChannelManager", "QueueSize");
        registry.histogram(batch.tag("broker-id", 1)).update(3);
        let expected = "\
# TYPE kafka_controller_controllerchannelmanager_queuesize gauge
kafka_controller_controllerchannelmanager_queuesize{broker_id=\"1\",quantile=\"0.50\"} 3
kafka_controller_controllerchannelmanager_queuesize{broker_id=\"1\",quantile=\"0.75\"} 3
kafka_controller_controllerchannelmanager_queuesize{broker_id=\"1\",quantile=\"0.95\"} 3
kafka_controller_controllerchannelmanager_queuesize{broker_id=\"1\",quantile=\"0.98\"} 3
kafka_controller_controllerchannelmanager_queuesize{broker_id=\"1\",quantile=\"0.99\"} 3
kafka_controller_controllerchannelmanager_queuesize{broker_id=\"1\",quantile=\"0.999\"} 3
# TYPE kafka_controller_controllerchannelmanager_queuesize_count counter
kafka_controller_controllerchannelmanager_queuesize_count{broker_id=\"1\"} 1
# TYPE kafka_controller_controllerchannelmanager_queuesize_max gauge
kafka_controller_controllerchannelmanager_queuesize_max{broker_id=\"1\"} 3
# TYPE kafka_controller_controllerchannelmanager_queuesize_mean gauge
kafka_controller_controllerchannelmanager_queuesize_mean{broker_id=\"1\"} 3
# TYPE kafka_controller_controllerchannelmanager_queuesize_min gauge
kafka_controller_controllerchannelmanager_queuesize_min{broker_id=\"1\"} 3
# TYPE kafka_log_logcleaner_max_clean_time_secs gauge
kafka_log_logcleaner_max_clean_time_secs 7
# TYPE kafka_server_brokertopicmetrics_bytesin_total counter
kafka_server_brokertopicmetrics_bytesin_total 10
kafka_server_brokertopicmetrics_bytesin_total{topic=\"a\\\"b\"} 4
";
        let text = registry.exposition();
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent 0.5\n"));
        assert!(text.contains("\nkafka_server_brokertopicmetrics_bytesinpersec_oneminuterate 0\n"));
    }

    #[test]
    fn sensors_of_kafkas_own_library_are_shown_by_their_attributes() {
        let registry = Registry::new(ManualClock::at(0));
        let name = |name| MetricName::new("kafka.server", "group-coordinator-metrics", name);
        registry.sampled_rate(name("offset-commit")).mark(30);
        registry.sampled_times(name("partition-load-time")).record(7.0);
        let family = "kafka_server_group_coordinator_metrics";
        let expected = format!(
            "# TYPE {family}_offset_commit_count counter\n{family}_offset_commit_count 30\n\
             # TYPE {family}_offset_commit_rate gauge\n{family}_offset_commit_rate 1\n\
             # TYPE {family}_partition_load_time_avg gauge\n{family}_partition_load_time_avg 7\n\
             # TYPE {family}_partition_load_time_max gauge\n{family}_partition_load_time_max 7\n"
        );
        assert_eq!(registry.exposition(), expected);
    }

    #[test]
    fn timers_are_shown_in_milliseconds() {
        let registry = Registry::new(ManualClock::at(0));
        let name = MetricName::new(
            "kafka.controller",
            "ControllerStats",
            "LeaderElectionRateAndTimeMs",
        );
        registry.timer(name).update(Duration::from_micros(2_500));
        let text = registry.exposition();
        let family = "kafka_controller_controllerstats_leaderelectionrateandtimems";
        for sample in [
            "_count 1",
            "_max 2.5",
            "{quantile=\"0.99\"} 2.5",
            "_fiveminuterate 0",
        ] {
            assert!(
                text.contains(&format!("\n{family}{sample}\n")),
                "{sample} in {text}"
            );
        }
    }
}
