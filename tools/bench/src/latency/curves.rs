//! The plots of latency.

use super::arrival::Arrival;
use super::samples::Samples;
use crate::axis::Axis;
use crate::mode::Mode;
use crate::plot::{Plot, Series};

/// The distribution of one message at a time, and the medians at the rates.
pub fn plots(samples: &Samples) -> Vec<Plot> {
    let series = |points: &dyn Fn(usize) -> Vec<(f64, f64)>| {
        let names = ["floor"].into_iter().chain(Mode::ALL.map(Mode::name));
        names.enumerate().map(|(way, name)| Series::new(name, points(way))).collect()
    };
    let distribution = |way: usize| {
        let point = |percent: i32| {
            let percent = f64::from(percent);
            (samples.quantile(0, way, percent / 100.0), percent)
        };
        (1..=99).map(point).collect()
    };
    let by_rate = |way: usize| {
        let points = samples.arrivals.iter().enumerate().filter_map(|(at, arrival)| match arrival {
            Arrival::Poisson(rate) => Some((*rate, samples.quantile(at, way, 0.5))),
            Arrival::Gap(_) => None,
        });
        points.collect()
    };
    vec![
        Plot {
            name: "latency-distribution",
            title: "Latency, one message at a time, at once after the last reply",
            x: Axis::logarithmic("latency, ms"),
            y: Axis::linear("messages that are done, %"),
            series: series(&distribution),
        },
        Plot {
            name: "latency-rate",
            title: "Latency (p50) at Poisson arrivals",
            x: Axis::logarithmic("messages a second"),
            y: Axis::logarithmic("latency, ms"),
            series: series(&by_rate),
        },
    ]
}
