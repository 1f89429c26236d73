//! A run as a page, and what changes of it while it goes on.

use std::mem;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::dossier::{self, Dossier};
use crate::record::{LogReader, RunHead, RunRecord, Runs};
use crate::report::{Part, RunPage};
use crate::ui::tail::{Caught, Tail};
use crate::ui::{Site, UiError};

/// Results are looked at anew when this many times the time that it takes has passed: a run with many variants has many results.
const GATHER_SHARE: u32 = 20;

/// Follows a run for one reader.
#[derive(Debug)]
pub(super) struct Follower {
    id: String,
    tail: Option<Tail>,
    gathered: Option<Gathered>,
    /// The parts of the page as the reader has them.
    sent: Vec<Part>,
}

/// What the run's results show.
#[derive(Debug)]
struct Gathered {
    dossier: Dossier,
    at: Instant,
    took: Duration,
    /// Whether stages have ended since.
    is_stale: bool,
}

/// What a reader is to be told.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) parts: Vec<Part>,
    /// Whether nothing will change any more.
    pub(super) is_over: bool,
}

impl Site {
    /// The run that is meant by an id, the beginning of one, a name, or `last`.
    pub(super) fn head(&self, text: &str) -> Result<Option<RunHead>, UiError> {
        let Ok(reference) = text.parse();
        Ok(self.runs()?.find(&reference, self.pipeline.as_deref()).ok().cloned())
    }

    pub(super) fn runs(&self) -> Result<Runs, UiError> {
        Runs::read(&self.cache.runs()).map_err(self.unreadable())
    }

    pub(super) fn unreadable(&self) -> impl Fn(std::io::Error) -> UiError {
        let folder = self.cache.runs();
        move |source| UiError::Runs { folder: folder.clone(), source }
    }

    /// Follows a run from now on.
    pub(super) fn follow(&self, id: &str) -> Result<Follower, UiError> {
        let log = LogReader::open(&self.cache.runs(), id).map_err(self.unreadable())?;
        Ok(Follower { id: id.to_owned(), tail: log.map(Tail::new), gathered: None, sent: Vec::new() })
    }

    fn gather(&self, record: RunRecord) -> Result<Vec<Dossier>, UiError> {
        Ok(dossier::gather(vec![record], &self.cache)?)
    }
}

impl Follower {
    /// The whole page.
    pub(super) fn page(&mut self, site: &Site) -> Result<Option<String>, UiError> {
        let stream = format!("/run/{}/events", self.id);
        match self.live(site)? {
            Some(page) => Ok(Some(page.served(Some(&stream)))),
            None => Ok(self.over(site)?.map(|dossiers| RunPage::over(&dossiers).served(None))),
        }
    }

    /// The parts that are not as the reader has them.
    pub(super) fn step(&mut self, site: &Site) -> Result<Step, UiError> {
        let sent = mem::take(&mut self.sent);
        let Some(page) = self.live(site)? else {
            // Where neither log nor record is found, the one is just taking the place of the other.
            let over = self.over(site)?;
            return Ok(over.map_or_else(Step::default, |dossiers| Step { parts: RunPage::over(&dossiers).whole(), is_over: true }));
        };
        let parts = page.parts();
        let ids = |parts: &[Part]| parts.iter().map(|part| part.id.clone()).collect::<Vec<_>>();
        let changed = match ids(&parts) == ids(&sent) {
            true => parts.iter().filter(|part| !sent.contains(part)).cloned().collect(),
            false => page.whole(),
        };
        self.sent = parts;
        Ok(Step { parts: changed, is_over: false })
    }

    /// The page of the run if it goes on.
    fn live(&mut self, site: &Site) -> Result<Option<RunPage<'_>>, UiError> {
        let Some(tail) = &mut self.tail else { return Ok(None) };
        let Caught { is_held, has_results } = tail.catch_up().map_err(site.unreadable())?;
        if !is_held {
            return Ok(None);
        }
        let is_stale = has_results || self.gathered.as_ref().is_some_and(|gathered| gathered.is_stale);
        match &mut self.gathered {
            Some(gathered) if !is_stale || gathered.at.elapsed() < gathered.took * GATHER_SHARE => {
                gathered.is_stale = is_stale;
                gathered.dossier.update(&tail.run.record);
            }
            gathered => {
                let started = Instant::now();
                let dossier = site.gather(tail.run.record.clone())?.pop();
                *gathered = dossier.map(|dossier| Gathered { dossier, at: Instant::now(), took: started.elapsed(), is_stale: false });
            }
        }
        let now = seconds_since(&tail.run.record.provenance.started);
        Ok(self.gathered.as_ref().map(|gathered| RunPage::live(&gathered.dossier, &tail.run, now)))
    }

    /// What is kept of the run if it does not go on; none if there is no such run.
    fn over(&self, site: &Site) -> Result<Option<Vec<Dossier>>, UiError> {
        let runs = site.runs()?;
        let Some(head) = runs.heads().iter().chain(runs.running()).find(|head| head.id == self.id) else { return Ok(None) };
        let record = runs.record(head).map_err(site.unreadable())?;
        site.gather(record).map(Some)
    }
}

fn seconds_since(moment: &str) -> f64 {
    moment.parse::<Timestamp>().map_or(0.0, |began| Timestamp::now().duration_since(began).as_secs_f64())
}
