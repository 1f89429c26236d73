//! How a stage is to be run: what it needs of the machine, how long it may take, how often it is tried. None of this changes
//! its result, so none of it is in the key.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// The keys that every kind has besides its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Execution {
    /// What the stage takes of the machine while it runs. Stages that do not need each other run at the same time as far as the
    /// machine has room for them.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "cpus": 2, "memory": "8 GiB" }]))]
    pub needs: Needs,
    /// How often the stage is tried again if it fails.
    #[serde(default)]
    #[schemars(range(max = 100))]
    #[schemars(extend("examples" = [2]))]
    pub retries: u32,
    /// How long one try may take: `90 s`, `30 min`, `12 h`, `2 d`. A training that is stopped by it goes on where it was when it
    /// is tried again.
    pub timeout: Option<TimeLimit>,
}

/// What a stage takes of the machine; what is not given follows from its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Needs {
    /// CPU cores; so many threads the stage uses. By default all, or as many as are free.
    #[schemars(range(min = 1))]
    pub cpus: Option<usize>,
    /// The most memory that the stage takes: `512 MiB`, `8 GiB`.
    pub memory: Option<MemorySize>,
    /// GPUs. By default one for a stage that runs a network, where the machine has any.
    #[schemars(range(max = 1))]
    pub gpus: Option<usize>,
}

/// A length of time, as a number and a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit(pub Duration);

/// An amount of memory in bytes, as a number and a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct MemorySize(pub u64);

const TIMES: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)];
const SIZES: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// A number above 0 and one of the units, in the unit's smallest parts.
fn measure(text: &str, units: &[(&str, u64)]) -> Option<f64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = (text[..digits].parse::<f64>().ok()?, text[digits..].trim_start());
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    Some(number * *factor as f64).filter(|value| value.is_finite() && *value > 0.0 && *value < 1e18)
}

impl FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<TimeLimit, String> {
        let seconds =
            measure(text, &TIMES).ok_or_else(|| format!("`{text}` is not a time; write it like `90 s`, `30 min`, `12 h` or `2 d`"))?;
        Ok(TimeLimit(Duration::from_secs_f64(seconds)))
    }
}

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<MemorySize, String> {
        let bytes =
            measure(text, &SIZES).ok_or_else(|| format!("`{text}` is not an amount of memory; write it like `512 MiB` or `8 GiB`"))?;
        Ok(MemorySize(bytes as u64))
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = SIZES.iter().rev().find(|(_, size)| self.0 >= *size).unwrap_or(&SIZES[0]);
        let value = self.0 as f64 / *size as f64;
        if value.fract() == 0.0 { write!(f, "{value} {unit}") } else { write!(f, "{value:.1} {unit}") }
    }
}

impl<'de> Deserialize<'de> for TimeLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TimeLimit, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for MemorySize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MemorySize, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for TimeLimit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeLimit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?(s|min|h|d)$", "examples": ["90 s", "30 min", "12 h", "2 d"] })
    }
}

impl JsonSchema for MemorySize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MemorySize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?(KiB|MiB|GiB|TiB)$", "examples": ["512 MiB", "8 GiB"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_numbers_with_units() {
        let seconds = |text: &str| text.parse::<TimeLimit>().map(|limit| limit.0.as_secs());
        assert_eq!(["90 s", "1.5h", "30 min", "2 d"].map(|text| seconds(text).unwrap()), [90, 5400, 1800, 172_800]);
        assert_eq!(seconds("90").unwrap_err(), "`90` is not a time; write it like `90 s`, `30 min`, `12 h` or `2 d`");
        let bytes = |text: &str| text.parse::<MemorySize>().map(|size| size.0);
        assert_eq!(["512 MiB", "8GiB", "0.5 KiB"].map(|text| bytes(text).unwrap()), [512 << 20, 8 << 30, 512]);
        for wrong in ["8", "8 GB", "-1 GiB", "GiB", "0 GiB", "1e3 GiB", ""] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!([8 << 30, 3 << 29, 100].map(|size| MemorySize(size).to_string()), ["8 GiB", "1.5 GiB", "0.1 KiB"]);
    }
}
