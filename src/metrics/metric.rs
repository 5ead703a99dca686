//! Defines the kinds of metrics. Yammer: `Metric`.

use std::sync::Arc;

use super::histogram::Histogram;
use super::meter::Meter;
use super::sampled::{SampledRate, SampledTimes};
use super::timer::Timer;

/// One metric.
#[derive(Clone)]
pub(super) enum Metric {
    Gauge(Arc<dyn Fn() -> f64 + Send + Sync>),
    Meter(Arc<Meter>),
    Histogram(Arc<Histogram>),
    Timer(Arc<Timer>),
    SampledRate(Arc<SampledRate>),
    SampledTimes(Arc<SampledTimes>),
}
