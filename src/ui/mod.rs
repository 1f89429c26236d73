//! The pages of `packtrain ui`: the runs of a project, and each run as its report, which changes while the run goes on.
//!
//! Only looks: runs are other processes, known by what they write into the state folder. A run that dies leaves its log, which nobody
//! holds any more, and is shown as cut off. Serves this machine alone, and no page of another site.

mod admission;
mod connections;
mod list;
mod routes;
mod run;
mod tail;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{self, Either};
use thiserror::Error;
use tokio::sync::Notify;

use crate::cache::{Cache, CacheError};
use crate::ui::connections::Bounded;

/// The port that is taken where it is free and none is asked for.
pub const USUAL_PORT: u16 = 8417;

/// What is looked at.
#[derive(Debug)]
pub struct Site {
    pub cache: Cache,
    /// The only pipeline whose runs are listed.
    pub pipeline: Option<String>,
}

/// A server that has its address.
#[derive(Debug)]
pub struct Server {
    site: Arc<Site>,
    listener: TcpListener,
    address: SocketAddr,
    stop: Arc<Notify>,
}

/// Ends a server, from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<Notify>);

/// Why pages cannot be served or made.
#[derive(Debug, Error)]
pub enum UiError {
    #[error("cannot listen on port {port} of this machine: {source}")]
    Listen { port: u16, source: io::Error },
    #[error("cannot serve: {0}")]
    Serve(io::Error),
    #[error("cannot read the runs in {folder}: {source}", folder = folder.display())]
    Runs { folder: PathBuf, source: io::Error },
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Server {
    /// Listens on loopback: on this port, or else on the usual one, or on any that is free.
    pub fn bind(site: Site, port: Option<u16>) -> Result<Server, UiError> {
        let on = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| UiError::Listen { port, source });
        let listener = match port {
            Some(port) => on(port),
            None => on(USUAL_PORT).or_else(|_| on(0)),
        }?;
        let address = listener.local_addr().and_then(|address| listener.set_nonblocking(true).map(|()| address)).map_err(UiError::Serve)?;
        Ok(Server { site: Arc::new(site), listener, address, stop: Arc::new(Notify::new()) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    /// Serves until it is stopped.
    pub fn serve(self) -> Result<(), UiError> {
        let Server { site, listener, address, stop } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(UiError::Serve)?;
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let serving = axum::serve(Bounded::new(listener), routes::routes(site, address.port())).into_future();
            match future::select(serving, pin!(stop.notified())).await {
                Either::Left((served, _)) => served,
                Either::Right(((), _)) => Ok(()),
            }
        });
        // Those who follow a run are not waited for.
        runtime.shutdown_background();
        served.map_err(UiError::Serve)
    }
}

impl Stopper {
    pub fn stop(&self) {
        self.0.notify_one();
    }
}
