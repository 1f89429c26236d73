//! Random variations of training images: parameters and their bounds. The worker draws and applies them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::stage::ParameterProblem;

/// Random variations of training images, drawn anew for every image in every epoch. Rotation, shift, shear and zoom are one
/// affine warp about the centre; what comes from outside the image is its nearest pixel.
///
/// A variation that is off is left out of the action key, so that one more kind of variation invalidates no result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Augment {
    /// Turn by up to so many degrees either way.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0.0, max = 180.0))]
    pub rotation: f64,
    /// Move by up to this fraction of the height, up or down, and of the width, left or right.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub shift: f64,
    /// Shear by up to this angle either way.
    #[serde(default, skip_serializing_if = "Shear::is_zero")]
    pub shear: Shear,
    /// Scale height and width, each by a factor of its own, between 1 less and 1 more this fraction.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub zoom: f64,
    /// Mirror every second image.
    #[serde(default)]
    pub horizontal_flip: bool,
}

/// An angle of shear, in radians. In a manifest a number is in radians, `{ degrees: 8.6 }` is the same in degrees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Shear {
    pub radians: f64,
}

impl Augment {
    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        let checks = [
            ((0.0..=180.0).contains(&self.rotation), "rotation", "`rotation` is 0 to 180 degrees"),
            ((0.0..=1.0).contains(&self.shift), "shift", "`shift` is 0 to 1: a fraction of the height and of the width"),
            ((0.0..1.5).contains(&self.shear.radians), "shear", "`shear` is at least 0 and below 1.5 radians"),
            ((0.0..1.0).contains(&self.zoom), "zoom", "`zoom` is at least 0 and below 1"),
        ];
        let failed = checks.into_iter().filter(|(holds, _, _)| !holds);
        failed.map(|(_, key, message)| ParameterProblem::new(format!("augment.{key}"), message)).collect()
    }
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Shear {
    fn is_zero(&self) -> bool {
        self.radians == 0.0
    }
}

impl<'de> Deserialize<'de> for Shear {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shear, D::Error> {
        deserializer.deserialize_any(ShearVisitor)
    }
}

struct ShearVisitor;

impl<'de> Visitor<'de> for ShearVisitor {
    type Value = Shear;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an angle in radians, or `{ degrees: … }`")
    }

    fn visit_f64<E: de::Error>(self, radians: f64) -> Result<Shear, E> {
        Ok(Shear { radians })
    }

    fn visit_u64<E: de::Error>(self, radians: u64) -> Result<Shear, E> {
        Ok(Shear { radians: radians as f64 })
    }

    fn visit_i64<E: de::Error>(self, radians: i64) -> Result<Shear, E> {
        Err(E::invalid_value(Unexpected::Signed(radians), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shear, A::Error> {
        let mut shear = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "degrees" {
                return Err(de::Error::unknown_field(&key, &["degrees"]));
            }
            shear = Some(Shear { radians: map.next_value::<f64>()?.to_radians() });
        }
        shear.ok_or_else(|| de::Error::missing_field("degrees"))
    }
}

impl JsonSchema for Shear {
    fn schema_name() -> Cow<'static, str> {
        "Shear".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An angle in radians, or `{ degrees: … }`.",
            "anyOf": [
                { "type": "number", "minimum": 0.0, "exclusiveMaximum": 1.5 },
                {
                    "type": "object",
                    "properties": { "degrees": { "type": "number", "minimum": 0.0, "maximum": 85.0, "description": "The angle in degrees." } },
                    "required": ["degrees"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_angle_of_shear_has_one_form_in_the_key() {
        let parse = |value| serde_json::from_value::<Augment>(value).unwrap();
        let degrees = parse(json!({ "shear": { "degrees": 45 } }));
        assert!((degrees.shear.radians - std::f64::consts::FRAC_PI_4).abs() < 1e-15);
        let radians = parse(json!({ "shear": std::f64::consts::FRAC_PI_4 }));
        assert_eq!(serde_json::to_value(degrees).unwrap(), serde_json::to_value(radians).unwrap());
        assert!(serde_json::from_value::<Augment>(json!({ "shear": { "gradians": 1 } })).is_err());
    }

    #[test]
    fn variations_that_are_off_are_not_in_the_key() {
        let written: Augment = serde_json::from_value(json!({ "rotation": 0, "zoom": 0.0, "shear": 0, "horizontal-flip": true })).unwrap();
        assert_eq!(serde_json::to_value(written).unwrap(), json!({ "horizontal-flip": true }));
    }
}
