//! What lies where: the list at `/`, a run at `/run/<run>`, and below each of them `events`, a stream of what changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use futures_util::stream::{self, Stream};

use crate::report::{self, Part};
use crate::ui::admission;
use crate::ui::list::ListFollower;
use crate::ui::run::{Follower, Step};
use crate::ui::{Site, UiError};

/// How often a reader is told of changes.
const RUN_INTERVAL: Duration = Duration::from_millis(500);
const LIST_INTERVAL: Duration = Duration::from_secs(2);
/// So many times as long as a page takes to be made, it stays as it is: those that run have the machine.
const REST: u32 = 20;

pub(super) fn routes(site: Arc<Site>, port: u16) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/events", get(list_events))
        .route("/run/{run}", get(run))
        .route("/run/{run}/events", get(run_events))
        .fallback(async || not_found("There is no such page."))
        .layer(middleware::from_fn_with_state(port, admission::check))
        .with_state(site)
}

async fn list(State(site): State<Arc<Site>>) -> Response {
    match aside(move || ListFollower::default().page(&site, "/events")).await {
        Ok(page) => Html(page).into_response(),
        Err(error) => failed(&error),
    }
}

async fn list_events(State(site): State<Arc<Site>>) -> Response {
    let step = move |mut follower: ListFollower| {
        let parts = follower.step(&site)?;
        Ok((Step { parts, is_over: false }, follower))
    };
    told(ListFollower::default(), LIST_INTERVAL, step)
}

async fn run(State(site): State<Arc<Site>>, Path(run): Path<String>) -> Response {
    let missing = format!("There is no run {run}.");
    let page = aside(move || match site.head(&run)? {
        Some(head) => site.follow(&head.id)?.page(&site),
        None => Ok(None),
    });
    match page.await {
        Ok(Some(page)) => Html(page).into_response(),
        Ok(None) => not_found(&missing),
        Err(error) => failed(&error),
    }
}

async fn run_events(State(site): State<Arc<Site>>, Path(run): Path<String>) -> Response {
    let missing = format!("There is no run {run}.");
    let of = Arc::clone(&site);
    let follower = aside(move || of.head(&run)?.map(|head| of.follow(&head.id)).transpose()).await;
    let step = move |mut follower: Follower| Ok((follower.step(&site)?, follower));
    match follower {
        Ok(Some(follower)) => told(follower, RUN_INTERVAL, step),
        Ok(None) => not_found(&missing),
        Err(error) => failed(&error),
    }
}

/// A stream of steps: `parts` with the parts that changed, `over` when nothing will change any more. A step that fails ends the
/// stream, and the browser asks again.
fn told<F: Send + 'static>(
    follower: F,
    interval: Duration,
    step: impl Fn(F) -> Result<(Step, F), UiError> + Clone + Send + 'static,
) -> Response {
    let first = (Some(follower), Duration::ZERO);
    let steps = stream::unfold(first, move |(follower, wait)| {
        let step = step.clone();
        async move {
            let follower = follower?;
            tokio::time::sleep(wait).await;
            let started = Instant::now();
            let (Step { parts, is_over }, follower) = aside(move || step(follower)).await.ok()?;
            let wait = interval.max(started.elapsed() * REST);
            Some((events(&parts, is_over), ((!is_over).then_some(follower), wait)))
        }
    });
    sse(steps).into_response()
}

fn sse(steps: impl Stream<Item = Vec<Event>> + Send + 'static) -> impl IntoResponse {
    use futures_util::StreamExt;
    Sse::new(steps.flat_map(|events| stream::iter(events.into_iter().map(Ok::<Event, Infallible>)))).keep_alive(KeepAlive::default())
}

fn events(parts: &[Part], is_over: bool) -> Vec<Event> {
    let changed = serde_json::to_string(parts).ok().filter(|_| !parts.is_empty());
    let changed = changed.map(|changed| Event::default().event("parts").data(changed));
    changed.into_iter().chain(is_over.then(|| Event::default().event("over").data("over"))).collect()
}

/// Does what reads files on another thread, so that others are answered meanwhile.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, UiError> + Send + 'static) -> Result<T, UiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => Err(UiError::Serve(std::io::Error::other(panic))),
    }
}

fn not_found(text: &str) -> Response {
    (StatusCode::NOT_FOUND, Html(report::message_page("Not found", text))).into_response()
}

fn failed(error: &UiError) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, Html(report::message_page("This cannot be shown", &error.to_string()))).into_response()
}
