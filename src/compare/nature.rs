//! What sort of number a metric is, by its name.

/// How a metric reads, and which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Between 0 and 1; more is better.
    Fraction,
    /// A difference of two fractions; more is better.
    Gain,
    /// Less is better.
    Loss,
    /// Neither less nor more is better.
    Number,
}

impl Nature {
    /// Of the metric with this name.
    pub fn of(name: &str) -> Nature {
        match name {
            _ if ["rank-1", "rank-5", "accuracy"].iter().any(|ending| name.ends_with(ending)) => Nature::Fraction,
            _ if name.ends_with("gain") => Nature::Gain,
            _ if name.ends_with("loss") => Nature::Loss,
            _ => Nature::Number,
        }
    }

    /// Whether a change by so much is for the better; `None` where there is no better.
    pub fn is_better(self, delta: f64) -> Option<bool> {
        match self {
            _ if delta == 0.0 || delta.is_nan() => None,
            Nature::Fraction | Nature::Gain => Some(delta > 0.0),
            Nature::Loss => Some(delta < 0.0),
            Nature::Number => None,
        }
    }
}
