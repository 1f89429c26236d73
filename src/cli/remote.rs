//! Which remote cache is meant: that of the command line or the environment, else that of the profile.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use clap::Args;

use crate::cache::Cache;
use crate::cli::Global;
use crate::cli::error::CommandError;
use crate::key::ActionKey;
use crate::manifest::Profile;
use crate::plan::{Forecast, Outlook, Plan, forecast, forecast_asking};
use crate::remote::{Remote, RemoteLocation, Watch};

/// Whether a forecast asks the remote.
#[derive(Debug, Default, Args)]
pub(super) struct AskRemoteArgs {
    /// Ask the remote cache which of the results it has
    #[arg(long)]
    ask_remote: bool,
}

/// How a profile's remote is taken back.
const NONE: &str = "none";

/// The remote, if there is one. It is not asked for anything yet.
pub(super) fn chosen(global: &Global, profile: Option<&Profile>, current: &Path) -> Result<Option<Remote>, CommandError> {
    // An empty variable is how a shell takes a setting back.
    let written = global.remote.as_deref().filter(|place| !place.is_empty());
    let (place, folder) = match (written, profile.and_then(|profile| profile.remote.as_ref())) {
        (Some(NONE), _) | (None, None) => return Ok(None),
        (Some(place), _) => (place, current),
        (None, Some((place, folder))) => (place.as_str(), folder.as_path()),
    };
    Ok(Some(Remote::new(RemoteLocation::parse(place, folder)?)))
}

impl AskRemoteArgs {
    /// Foretells a run. Says on standard error if the remote was not asked though it may change the outcome, or if it could not be.
    pub(super) fn forecast(&self, plans: &[Plan<'_>], cache: &Cache, remote: Option<&Remote>) -> Result<Vec<Forecast>, CommandError> {
        let forecasts = match remote {
            Some(remote) if self.ask_remote => {
                let failed = RefCell::new(None);
                let watch = Watch { cancelled: &AtomicBool::new(false), progress: &|_| {} };
                let ask = |key: &ActionKey| {
                    if failed.borrow().is_some() {
                        return None;
                    }
                    remote.action(key, &watch).unwrap_or_else(|error| {
                        *failed.borrow_mut() = Some(error);
                        None
                    })
                };
                let forecasts = forecast_asking(plans, cache, &ask)?;
                if let Some(error) = failed.into_inner() {
                    writeln!(io::stderr(), "warning: {error}; foretold without it")?;
                }
                forecasts
            }
            _ => forecast(plans, cache)?,
        };
        cache.memo().save()?;
        let may_change = |forecast: &Forecast| matches!(forecast.outlook, Outlook::Run { .. } | Outlook::Unknown { .. } | Outlook::LeftOut);
        if let Some(remote) = remote
            && !self.ask_remote
            && forecasts.iter().any(may_change)
        {
            writeln!(io::stderr(), "note: the remote cache {} was not asked; `plan --ask-remote` asks it", remote.location())?;
        }
        Ok(forecasts)
    }
}
