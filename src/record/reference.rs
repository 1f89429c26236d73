//! How people name a run: by its id, by enough of it, by its name, or by how long ago it was.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::nearest::nearest;
use crate::record::{RunHead, Runs};

/// The latest run; `last~1` is the one before it.
pub const LAST: &str = "last";
/// No more ids are listed where one is meant.
const SHOWN: usize = 3;

/// A run as the user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunReference {
    /// `last`, `last~1`: so many runs before the latest.
    Back(usize),
    /// An id, the beginning of one, or a name.
    Named(String),
}

/// No run, or no single one, is meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReferenceError {
    #[error("there is no run{} yet", of(pipeline))]
    NoRuns { pipeline: Option<String> },
    #[error("`{LAST}~{back}` goes too far back: the first run{} is `{}`", of(pipeline), RunReference::Back(count - 1))]
    TooFar { back: usize, count: usize, pipeline: Option<String> },
    #[error("`{text}` fits {count} runs, such as {}; write more of the id", shown.join(", "))]
    Ambiguous { text: String, count: usize, shown: Vec<String> },
    #[error("there is no run `{text}`{}", meant.as_ref().map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default())]
    Unknown { text: String, meant: Option<String> },
}

impl Runs {
    /// The run that is meant. `last` is the latest run of `pipeline`, or of all, that is over; one that goes on is meant by its id.
    pub fn find(&self, reference: &RunReference, pipeline: Option<&str>) -> Result<&RunHead, ReferenceError> {
        match reference {
            RunReference::Back(back) => self.back(*back, pipeline),
            RunReference::Named(text) => self.named(text).map_or_else(|| self.with_id(text), Ok),
        }
    }

    /// The run with this name.
    pub fn named(&self, name: &str) -> Option<&RunHead> {
        self.heads().iter().find(|head| head.name.as_ref().is_some_and(|own| own.as_str() == name))
    }

    fn back(&self, back: usize, pipeline: Option<&str>) -> Result<&RunHead, ReferenceError> {
        let of_pipeline = || self.heads().iter().filter(|head| pipeline.is_none_or(|pipeline| head.pipeline == pipeline));
        if let Some(head) = of_pipeline().nth(back) {
            return Ok(head);
        }
        let count = of_pipeline().count();
        let pipeline = pipeline.map(str::to_owned);
        match count {
            0 => Err(ReferenceError::NoRuns { pipeline }),
            count => Err(ReferenceError::TooFar { back, count, pipeline }),
        }
    }

    fn with_id(&self, text: &str) -> Result<&RunHead, ReferenceError> {
        let fitting: Vec<&RunHead> =
            self.heads().iter().chain(self.running()).filter(|head| !text.is_empty() && head.id.starts_with(text)).collect();
        match &fitting[..] {
            [single] => Ok(single),
            [] => {
                let names = self.heads().iter().filter_map(|head| head.name.as_ref()).map(|name| name.as_str());
                let known = names.chain([LAST]).chain(self.heads().iter().map(|head| head.id.as_str()));
                Err(ReferenceError::Unknown { text: text.to_owned(), meant: nearest(text, known).map(str::to_owned) })
            }
            several => match several.iter().find(|head| head.id == text) {
                Some(exact) => Ok(exact),
                None => Err(ReferenceError::Ambiguous {
                    text: text.to_owned(),
                    count: several.len(),
                    shown: several.iter().take(SHOWN).map(|head| head.id.clone()).collect(),
                }),
            },
        }
    }
}

fn of(pipeline: &Option<String>) -> String {
    pipeline.as_ref().map(|pipeline| format!(" of {pipeline}")).unwrap_or_default()
}

impl FromStr for RunReference {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<RunReference, Infallible> {
        let back = match text.strip_prefix(LAST) {
            Some("") => Some(0),
            Some(rest) => rest.strip_prefix('~').and_then(|count| count.parse().ok()),
            None => None,
        };
        Ok(back.map_or_else(|| RunReference::Named(text.to_owned()), RunReference::Back))
    }
}

impl fmt::Display for RunReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunReference::Back(0) => f.write_str(LAST),
            RunReference::Back(back) => write!(f, "{LAST}~{back}"),
            RunReference::Named(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn runs() -> Runs {
        let head = |id: &str, pipeline: &str, name: Option<&str>, hour: i64| RunHead {
            id: id.to_owned(),
            name: name.map(|name| name.parse().unwrap()),
            tags: BTreeSet::new(),
            outcome: None,
            is_running: false,
            pipeline: pipeline.to_owned(),
            manifest: "m.yaml".into(),
            started: jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(hour),
        };
        Runs::new(vec![
            head("20260103T000000-77", "dogs", None, 4),
            head("20260102T000000-7", "cats", Some("baseline"), 3),
            head("20260101T000000-7", "dogs", None, 2),
            head("20260101T000000-71", "dogs", Some("first"), 1),
        ])
    }

    fn found(text: &str, pipeline: Option<&str>) -> Result<String, String> {
        let Ok(reference) = text.parse();
        runs().find(&reference, pipeline).map(|head| head.id.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_run_is_found_by_age_by_name_and_by_what_tells_its_id_apart() {
        let ids =
            ["last", "last~0", "last~1", "last~3", "baseline", "20260102", "20260101T000000-7"].map(|text| found(text, None).unwrap());
        assert_eq!(
            ids,
            [
                "20260103T000000-77",
                "20260103T000000-77",
                "20260102T000000-7",
                "20260101T000000-71",
                "20260102T000000-7",
                "20260102T000000-7",
                "20260101T000000-7",
            ]
        );
        assert_eq!(found("last~1", Some("dogs")).unwrap(), "20260101T000000-7");
        assert_eq!(found("baseline", Some("dogs")).unwrap(), "20260102T000000-7");
    }

    #[test]
    fn what_means_no_single_run_is_told_with_what_may_be_meant() {
        let errors =
            [("last~9", None), ("last~1", Some("cats")), ("last", Some("cows")), ("202601", None), ("basline", None), ("zebra", None)];
        let expected = [
            "`last~9` goes too far back: the first run is `last~3`",
            "`last~1` goes too far back: the first run of cats is `last`",
            "there is no run of cows yet",
            "`202601` fits 4 runs, such as 20260103T000000-77, 20260102T000000-7, 20260101T000000-7; write more of the id",
            "there is no run `basline`; did you mean `baseline`?",
            "there is no run `zebra`",
        ];
        assert_eq!(errors.map(|(text, pipeline)| found(text, pipeline).unwrap_err()), expected);
        let Ok(reference) = "last".parse();
        assert_eq!(Runs::new(Vec::new()).find(&reference, None).unwrap_err().to_string(), "there is no run yet");
    }
}
