//! Picking some of a family's variants by their values.

use std::str::FromStr;

use thiserror::Error;

use super::pipeline::{Family, Variant};
use crate::key::VariantName;

/// Values that a variant is to have: `lr=0.01`, or `lr=0.01,batch=64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantFilter {
    settings: Vec<(String, String)>,
    written: String,
}

/// The text is no list of values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not of the form `name=value` or `name=value,name=value`")]
pub struct VariantFilterError(String);

/// Nothing can be picked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectionError {
    #[error("{pipeline} has no variants, because its manifest has no `matrix`")]
    NoMatrix { pipeline: String },
    #[error("{pipeline} has no variant `{wanted}`; its variants are {}", listed(known))]
    NoVariant { pipeline: String, wanted: String, known: Vec<VariantName> },
}

impl Family {
    /// Leaves the variants that one of the filters fits; all of them if there is no filter.
    pub fn select(mut self, filters: &[VariantFilter]) -> Result<Family, SelectionError> {
        let known: Vec<Variant> = self.variants.iter().filter_map(|pipeline| pipeline.variant.clone()).collect();
        for filter in filters {
            if known.is_empty() {
                return Err(SelectionError::NoMatrix { pipeline: self.name });
            }
            if !known.iter().any(|variant| filter.fits(variant)) {
                let known = known.into_iter().map(|variant| variant.name).collect();
                return Err(SelectionError::NoVariant { pipeline: self.name, wanted: filter.written.clone(), known });
            }
        }
        let fits = |variant: &Variant| filters.iter().any(|filter| filter.fits(variant));
        self.variants.retain(|pipeline| filters.is_empty() || pipeline.variant.as_ref().is_some_and(fits));
        Ok(self)
    }
}

impl VariantFilter {
    fn fits(&self, variant: &Variant) -> bool {
        let has = |(name, value): &(String, String)| variant.settings.iter().any(|(param, own)| param == name && is_same(own, value));
        self.settings.iter().all(has)
    }
}

/// Numbers by value, texts as they are or as they stand in a variant's name.
fn is_same(own: &str, wanted: &str) -> bool {
    match (own.parse::<f64>(), wanted.parse::<f64>()) {
        (Ok(own), Ok(wanted)) => own == wanted,
        _ => VariantName::sanitized(own) == VariantName::sanitized(wanted),
    }
}

fn listed(names: &[VariantName]) -> String {
    const SHOWN: usize = 12;
    let mut shown: Vec<&str> = names.iter().take(SHOWN).map(VariantName::as_str).collect();
    if names.len() > SHOWN {
        shown.push("…");
    }
    shown.join("  ")
}

impl FromStr for VariantFilter {
    type Err = VariantFilterError;

    fn from_str(text: &str) -> Result<VariantFilter, VariantFilterError> {
        let setting = |part: &str| part.split_once('=').filter(|(name, _)| !name.is_empty()).map(|(n, v)| (n.to_owned(), v.to_owned()));
        let settings: Option<Vec<(String, String)>> = text.split(',').map(setting).collect();
        settings.map(|settings| VariantFilter { settings, written: text.to_owned() }).ok_or_else(|| VariantFilterError(text.to_owned()))
    }
}
