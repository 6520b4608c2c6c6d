//! The axes of a plot: their ends, their marks, and the place of a value.

use crate::table::{range, thousands};

/// An axis.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    label: &'static str,
    is_logarithmic: bool,
}

/// An axis with its ends.
pub struct Scale {
    is_logarithmic: bool,
    low: f64,
    high: f64,
}

impl Axis {
    /// From zero, in equal steps.
    pub fn linear(label: &'static str) -> Self {
        Self { label, is_logarithmic: false }
    }

    /// In equal factors.
    pub fn logarithmic(label: &'static str) -> Self {
        Self { label, is_logarithmic: true }
    }

    /// The label.
    pub fn label(self) -> &'static str {
        self.label
    }

    /// With round ends about the values.
    pub fn scale(self, values: &[f64]) -> Scale {
        let (least, most) = range(values);
        let marks = |value: f64, up: bool| {
            let power = 10.0_f64.powf(value.log10().floor());
            let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
            match up {
                true => steps.into_iter().find(|mark| *mark >= value * 0.999).unwrap_or(value),
                false => steps.into_iter().rev().find(|mark| *mark <= value * 1.001).unwrap_or(value),
            }
        };
        let low = if self.is_logarithmic { marks(least, false) } else { 0.0 };
        let high = marks(most, true);
        Scale { is_logarithmic: self.is_logarithmic, low, high: if high > low { high } else { low * 10.0 } }
    }
}

impl Scale {
    /// The place of a value, from 0 to 1.
    pub fn place(&self, value: f64) -> f64 {
        match self.is_logarithmic {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => value / self.high,
        }
    }

    /// The values that are named at the axis.
    pub fn marks(&self) -> Vec<f64> {
        if !self.is_logarithmic {
            return (0..=5).map(|step| self.high * f64::from(step) / 5.0).collect();
        }
        let powers = (self.low.log10().floor() as i32)..=(self.high.log10().ceil() as i32);
        let all = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10.0_f64.powi(power)));
        all.filter(|mark| *mark >= self.low * 0.999 && *mark <= self.high * 1.001).collect()
    }
}

/// The words at a mark.
pub fn figure(value: f64) -> String {
    if value >= 1_000.0 { thousands(value) } else { format!("{}", (value * 1e6).round() / 1e6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_an_axis_of_factors_are_1_2_and_5() {
        let marks = Axis::logarithmic("ms").scale(&[0.9, 24.0]).marks();
        assert_eq!(marks, [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
    }
}
