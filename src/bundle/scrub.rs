//! Takes the places of a machine out of texts: what lies in a known folder is told from there, and of every other absolute path only the
//! last name is left.
//!
//! Fingerprints are left as they are, because keys are made of them; [`Scrub::finds_in`] tells where one names a known folder.

use std::path::Path;

use regex::{Captures, Regex};
use serde_json::Value;

/// The folders whose names are nobody else's business.
#[derive(Debug)]
pub struct Scrub {
    folders: Vec<String>,
    known: Option<Regex>,
    absolute: Option<Regex>,
}

/// A path from the root, where a word begins: its folders, then its last name.
const ABSOLUTE: &str = r#"(^|[\s"'`=(\[<,;])/(?:[^\s/"'`,;()\[\]<>]+/)*([^\s/"'`,;()\[\]<>]+)"#;

impl Scrub {
    /// `folders` are absolute, such as the project's and the user's.
    pub fn new<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Scrub {
        let folders = folders.into_iter().filter(|folder| folder.components().count() > 1);
        let mut folders: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
        // The innermost first: it is told apart from those that it lies in.
        folders.sort_by(|a, b| (b.len(), b).cmp(&(a.len(), a)));
        folders.dedup();
        let names: Vec<String> =
            folders.iter().map(|folder| regex::escape(folder)).chain(["/(?:home|Users)/[^/\\s]+".to_owned()]).collect();
        let known = Regex::new(&format!(r"(?:{})(/|$|[^\w.-])", names.join("|"))).ok();
        Scrub { folders, known, absolute: Regex::new(ABSOLUTE).ok() }
    }

    /// The text without places.
    pub fn text(&self, text: &str) -> String {
        let (Some(known), Some(absolute)) = (&self.known, &self.absolute) else { return String::new() };
        let inside = known.replace_all(text, |found: &Captures<'_>| match &found[1] {
            "/" => String::new(),
            after => format!(".{after}"),
        });
        absolute.replace_all(&inside, "$1$2").into_owned()
    }

    /// Takes places out of every text in a value, and of every name.
    pub fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.text(&text).into(),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => map.into_iter().map(|(key, value)| (self.text(&key), self.value(value))).collect(),
            other => other,
        }
    }

    /// The first of the folders that a text names.
    pub fn finds_in(&self, text: &str) -> Option<&str> {
        self.folders.iter().map(String::as_str).find(|folder| text.contains(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_path_only_what_lies_within_the_project_is_left() {
        let scrub = Scrub::new([Path::new("/data/jane's work/dogs"), Path::new("/data/jane's work"), Path::new("/")]);
        let cases = [
            ("/data/jane's work/dogs/output/mean.json", "output/mean.json"),
            ("cannot read `/data/jane's work/cats/1.jpg`", "cannot read `cats/1.jpg`"),
            ("-p images=/srv/pictures/cats", "-p images=cats"),
            ("/data/jane's work", "."),
            ("state in /data/jane's work: full", "state in .: full"),
            (concat!("/home", "/joe"), "."),
            (concat!("at /Users", "/joe/a b.jpg, twice"), "at a b.jpg, twice"),
            ("3 / 4, http://example.org/a/b, a/b/c", "3 / 4, http://example.org/a/b, a/b/c"),
        ];
        for (text, expected) in cases {
            assert_eq!(scrub.text(text), expected);
        }
    }

    #[test]
    fn a_value_loses_its_places_at_every_depth() {
        let scrub = Scrub::new([]);
        let value = serde_json::json!({ "/a/b": ["/c/d", { "e": "/f/g" }], "n": 1 });
        assert_eq!(scrub.value(value), serde_json::json!({ "b": ["d", { "e": "g" }], "n": 1 }));
    }
}
