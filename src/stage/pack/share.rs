//! `Share`: how many images of a set, as a number or a fraction.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A number of images, or a fraction of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Share {
    Count(u64),
    /// Above 0 and below 1.
    Fraction(#[schemars(range(min = 0.0, max = 1.0))] f64),
}

impl Share {
    /// Whether this asks for no image at all.
    pub fn is_zero(self) -> bool {
        match self {
            Share::Count(count) => count == 0,
            Share::Fraction(fraction) => fraction == 0.0,
        }
    }

    /// The number of images out of `total`; a fraction is rounded to the nearest.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Share::Count(count) => count,
            Share::Fraction(fraction) => (fraction * total as f64).round() as u64,
        }
    }
}

impl Default for Share {
    fn default() -> Share {
        Share::Count(0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Share::Count(count) => count.fmt(f),
            Share::Fraction(fraction) => fraction.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Share, D::Error> {
        deserializer.deserialize_any(ShareVisitor)
    }
}

struct ShareVisitor;

impl Visitor<'_> for ShareVisitor {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of images, or a fraction below 1")
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Share, E> {
        Ok(Share::Count(count))
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Share, E> {
        u64::try_from(count).map(Share::Count).map_err(|_| E::invalid_value(Unexpected::Signed(count), &self))
    }

    fn visit_f64<E: de::Error>(self, fraction: f64) -> Result<Share, E> {
        // Zero is written in one way only, so that it has one action key.
        match fraction {
            0.0 => Ok(Share::Count(0)),
            _ if fraction > 0.0 && fraction < 1.0 => Ok(Share::Fraction(fraction)),
            _ => Err(E::invalid_value(Unexpected::Float(fraction), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_fractions_are_told_apart() {
        let read = |text: &str| serde_json::from_str::<Share>(text).map_err(|error| error.to_string());
        assert_eq!(read("2500"), Ok(Share::Count(2500)));
        assert_eq!(read("0.1"), Ok(Share::Fraction(0.1)));
        assert_eq!(read("0.0"), Ok(Share::Count(0)));
        for (text, shown) in [("1.0", "floating point `1.0`"), ("-3", "integer `-3`"), ("2.5", "floating point `2.5`")] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(&format!("invalid value: {shown}, expected a number of images, or a fraction below 1")), "{error}");
        }
        assert!(read("\"many\"").unwrap_err().contains("expected a number of images, or a fraction below 1"));
    }

    #[test]
    fn writing_and_reading_changes_nothing() {
        for share in [Share::Count(0), Share::Count(7), Share::Fraction(0.25)] {
            assert_eq!(serde_json::from_str::<Share>(&serde_json::to_string(&share).unwrap()).unwrap(), share);
        }
    }
}
