//! Which stage runs when. Stages that do not need each other run at the same time, as far as the machine has room for them.
//!
//! Looks at the stages of all variants in order. A stage's key is computed when its inputs exist; what can be reused is reused on
//! the spot, what has to run gets a thread. A failed stage stops what needs it and, without `keep_going`, what its variant has not
//! begun; other variants go on. What several variants have in common runs once: a stage waits for one with the same key, a training
//! for one that begins like it. What is to run is first asked of the remote, if there is one, which takes nothing of the machine.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, Scope};
use std::time::Instant;

use thiserror::Error;

use crate::cache::{ActionRecord, Cache, CacheError, Pins, Project, Stay, place};
use crate::event::{FromRemote, RunEvent, RunOutcome, StageResult, StartingPoint};
use crate::exec::action::{Action, Site};
use crate::exec::capacity::{Allotment, Capacity, Room};
use crate::exec::command::CommandError;
use crate::exec::foresight::{Expected, Foreseen, foresee, outputs};
use crate::exec::stop::Stop;
use crate::exec::worker::WorkerError;
use crate::key::{ActionKey, Change, StageId, StagePath};
use crate::lockfile::{Difference, Lockfile};
use crate::manifest::PipelineStage;
use crate::plan::{Decision, Plan, PlanError, Trajectory, decide, fingerprint, gather, upstream};
use crate::remote::Remote;
use crate::stage::{Device, StageError};

/// So many stages ask the remote at once.
const MOST_ASKING: usize = 4;

/// How to run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    pub device: Device,
    /// Stages that run even if their result is there; what variants have in common is run again once.
    pub force: BTreeSet<StageId>,
    /// Goes on with stages that do not need a failed one.
    pub keep_going: bool,
    /// The most stages that run at once.
    pub jobs: Option<usize>,
    /// What every stage has to give.
    pub locked: Option<Lockfile>,
    /// Asked for results before stages run.
    pub remote: Option<Arc<Remote>>,
    /// Runs nothing: takes what the remote has and leaves out the rest.
    pub fetch_only: bool,
    /// What stages gave is not noted as their latest.
    pub aside: bool,
}

/// Why a stage did not finish.
#[derive(Debug, Error)]
pub enum ExecError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("it failed as {stage} already: {reason}")]
    FailedBefore { stage: StagePath, reason: String },
    /// It is needed by a stage that was chosen, but was not chosen itself.
    #[error("it has no result for its present inputs and is not chosen to run; choose it too, or run it first")]
    LeftOut,
    /// It is checked without a result of its own and of what it needs.
    #[error("{stage} has no result for its present inputs; run it first")]
    Unsettled { stage: String },
    #[error("{path} changed while it ran", path = path.display())]
    Unstable { path: PathBuf },
    /// It gave something else than the lock says; nothing that needs it runs.
    #[error(transparent)]
    NotLocked(#[from] Box<Difference>),
    /// The machine is too small.
    #[error("{0}")]
    NoRoom(String),
    #[error("it did not write its output `{output}`: there is no {file}")]
    NoOutput { output: String, file: String },
    /// The stage ended well but left something that is no artifact.
    #[error("its output `{output}` is not what it should be: {reason}")]
    Output { output: String, reason: String },
    #[error("packtrain itself failed in it; its last words: {0}")]
    Panic(String),
}

/// Where a run reports, and whether it should stop.
pub struct Outside<'a> {
    pub emit: &'a mut dyn FnMut(RunEvent),
    pub stop: &'a Stop,
}

/// A result, and where it is from.
pub(super) struct Done {
    pub key: ActionKey,
    pub record: Box<ActionRecord>,
    /// Where users find its files, if they are there already.
    pub files: Option<Vec<PathBuf>>,
    pub origin: Origin,
}

pub(super) enum Origin {
    /// It was in the cache.
    Cache,
    Remote(FromRemote),
    /// It was made now; these inputs changed meanwhile.
    Run(Vec<PathBuf>),
}

/// What the threads of stages say.
pub(super) enum Message<'a> {
    Event(Box<RunEvent>),
    Ended(NodeId, Ended<'a>),
}

/// How a stage ended; without a result if the remote has none. What it made is safe from the garbage collection until the schedule has
/// taken note of it.
pub(super) struct Ended<'a> {
    pub result: Result<Option<Done>, ExecError>,
    #[expect(dead_code, reason = "held, not read")]
    pub stay: Option<Stay<'a>>,
}

/// Runs the plans, which are those of one manifest's variants. The events tell everything but [`RunEvent::RunStarted`].
pub fn run(
    plans: &[Plan<'_>],
    project: &Project,
    cache: &Cache,
    options: &RunOptions,
    outside: &mut Outside<'_>,
) -> Result<RunOutcome, CacheError> {
    let started = Instant::now();
    let stay = cache.stay()?;
    cache.sweep()?;
    let mut schedule = Schedule::new(plans, cache, project, options);
    let (messages, inbox) = channel();
    let listener = Listener { stay: &stay, inbox };
    let remote = options.remote.as_deref();
    let site = Site { cache, remote, cancelled: outside.stop.cancelled(), messages, cpus: schedule.capacity.cpus() };
    thread::scope(|scope| schedule.go(scope, &site, &listener, outside))?;
    cache.memo().save()?;
    let outcome = schedule.outcome;
    (outside.emit)(RunEvent::RunFinished { outcome, seconds: started.elapsed().as_secs_f64() });
    Ok(outcome)
}

/// A stage of a variant: its place among all.
pub(super) type NodeId = usize;

/// The life of a stage within a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It needs results that are not there yet, or room, or was not looked at.
    Waiting,
    Running,
    Done,
    /// It failed, or cannot be run.
    Lost,
}

/// What a running stage has, and what others wait for.
struct Running {
    /// None while the remote is asked.
    allotment: Option<Allotment>,
    key: ActionKey,
    /// Of a training, the states on its way.
    trajectory: Option<Trajectory>,
}

struct Node<'a> {
    variant: usize,
    stage: &'a PipelineStage,
    life: Life,
    /// Whether the remote was asked for its result.
    asked: bool,
}

/// A pipeline of the run.
struct Variant<'a> {
    plan: &'a Plan<'a>,
    place: String,
    nodes: BTreeMap<&'a StageId, NodeId>,
    results: BTreeMap<StageId, ActionRecord>,
    /// Before the run, those that were last noted, and as they are now.
    first_heads: BTreeMap<StageId, ActionKey>,
    noted_heads: BTreeMap<StageId, ActionKey>,
    heads: BTreeMap<StageId, ActionKey>,
    failed: bool,
}

struct Schedule<'a> {
    project: &'a Project,
    options: &'a RunOptions,
    variants: Vec<Variant<'a>>,
    nodes: Vec<Node<'a>>,
    running: BTreeMap<NodeId, Running>,
    /// By node; of each what was found ahead, until it is looked at or the run was away.
    foreseen: Vec<Option<Foreseen>>,
    capacity: Capacity,
    succeeded: BTreeSet<ActionKey>,
    failed: BTreeMap<ActionKey, (StagePath, String)>,
    outcome: RunOutcome,
}

/// What to do with a stage whose inputs are there.
enum Next<'a> {
    Reuse(Done),
    Run(Box<Action<'a>>, Option<Trajectory>),
    /// The remote is to be asked first.
    Ask(Box<Action<'a>>),
    /// The remote does not have the result either, and nothing is to run.
    LeaveOut,
    /// Another stage is making the result, or the first part of it.
    Wait,
}

impl<'a> Schedule<'a> {
    fn new(plans: &'a [Plan<'a>], cache: &Cache, project: &'a Project, options: &'a RunOptions) -> Schedule<'a> {
        let mut nodes = Vec::new();
        let mut variants = Vec::new();
        for (variant, plan) in plans.iter().enumerate() {
            let first = nodes.len();
            nodes.extend(plan.stages().iter().map(|stage| Node { variant, stage, life: Life::Waiting, asked: false }));
            let place = plan.pipeline.place();
            let heads = cache.heads(&place);
            variants.push(Variant {
                plan,
                nodes: plan.stages().iter().enumerate().map(|(index, stage)| (&stage.id, first + index)).collect(),
                results: BTreeMap::new(),
                first_heads: heads.clone(),
                noted_heads: heads.clone(),
                heads,
                failed: false,
                place,
            });
        }
        let expected = nodes.iter().map(|node| {
            let variant: &Variant<'_> = &variants[node.variant];
            variant.heads.get(&node.stage.id).map(|key| Expected {
                stage: node.stage,
                key: *key,
                folder: variant.output(node.stage, project),
            })
        });
        Schedule {
            project,
            options,
            foreseen: foresee(expected.collect(), cache),
            variants,
            nodes,
            running: BTreeMap::new(),
            capacity: Capacity::of_machine(options.device, options.jobs),
            succeeded: BTreeSet::new(),
            failed: BTreeMap::new(),
            outcome: RunOutcome::Succeeded,
        }
    }

    /// Until every stage is done or lost.
    fn go<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        site: &Site<'a>,
        listener: &Listener<'_, 'a>,
        outside: &mut Outside<'_>,
    ) -> Result<(), CacheError>
    where
        'a: 'scope,
    {
        loop {
            for id in 0..self.nodes.len() {
                if let Some((action, allotment)) = self.advance(id, site, outside) {
                    start(id, action, allotment, scope, site.clone());
                }
            }
            if self.running.is_empty() {
                return self.latest().try_for_each(|variant| variant.save_heads(site.cache));
            }
            self.latest().try_for_each(|variant| variant.note_heads(site.cache))?;
            let pins = Pins::of_results(self.variants.iter().flat_map(|variant| variant.results.values()));
            let next = listener.next_end(&pins, outside)?;
            // What was found ahead was not pinned.
            self.foreseen.iter_mut().for_each(|foreseen| *foreseen = None);
            if let Some((id, ended)) = next {
                self.end(id, ended, site.cache, outside);
            }
        }
    }

    /// The variants whose results are noted as their latest.
    fn latest(&mut self) -> impl Iterator<Item = &mut Variant<'a>> {
        self.variants.iter_mut().filter(|_| !self.options.aside)
    }

    /// Looks at a stage that waits. What is returned has its room and is to be started.
    fn advance(&mut self, id: NodeId, site: &Site<'a>, outside: &mut Outside<'_>) -> Option<(Box<Action<'a>>, Option<Allotment>)> {
        let Node { variant, stage, life: Life::Waiting, .. } = self.nodes[id] else { return None };
        let blocked = self.upstream(id).find(|(_, life)| *life == Life::Lost).map(|(needed, _)| needed.clone());
        let stopped = self.outcome >= RunOutcome::Superseded || (self.variants[variant].failed && !self.options.keep_going);
        if blocked.is_some() || stopped {
            self.nodes[id].life = Life::Lost;
            (outside.emit)(RunEvent::StageNotRun { stage: self.path(id), needs: blocked });
            return None;
        }
        if self.upstream(id).any(|(_, life)| life != Life::Done) {
            return None;
        }
        let (cancelled, superseded) = (site.cancelled.load(Ordering::SeqCst), outside.stop.is_superseded());
        let next = match cancelled || superseded {
            true if !self.running.is_empty() => return None,
            true if superseded => {
                self.outcome = self.outcome.max(RunOutcome::Superseded);
                self.leave_out(id, outside);
                return None;
            }
            true => Err(StageError::Interrupted.into()),
            false => self.next(id, site.cache),
        };
        match next {
            Err(error) => self.fail(id, &error, outside),
            Ok(Next::Wait) => {}
            Ok(Next::Reuse(reused)) => self.finish(id, reused, site.cache, outside),
            Ok(Next::LeaveOut) => self.leave_out(id, outside),
            Ok(Next::Ask(_)) if self.running.values().filter(|running| running.allotment.is_none()).count() >= MOST_ASKING => {}
            Ok(Next::Ask(action)) => {
                self.begin(id, Running { allotment: None, key: action.key, trajectory: None });
                return Some((action, None));
            }
            Ok(Next::Run(action, trajectory)) => match self.capacity.take(stage) {
                Room::Later => {}
                Room::Never(reason) => self.fail(id, &ExecError::NoRoom(reason), outside),
                Room::Now(allotment) => {
                    self.begin(id, Running { allotment: Some(allotment), key: action.key, trajectory });
                    return Some((action, Some(allotment)));
                }
            },
        }
        None
    }

    fn begin(&mut self, id: NodeId, running: Running) {
        self.nodes[id].life = Life::Running;
        self.running.insert(id, running);
    }

    fn next(&mut self, id: NodeId, cache: &Cache) -> Result<Next<'a>, ExecError> {
        let Node { variant, stage, .. } = self.nodes[id];
        let foreseen = self.foreseen[id].take();
        let variant = &self.variants[variant];
        let Some(inputs) = gather(stage, &variant.results, cache)? else {
            return Err(StageError::Invalid("an input was not made".to_owned()).into());
        };
        let fingerprint = fingerprint(stage, &inputs)?;
        let key = fingerprint.key();
        if let Some((stage, reason)) = self.failed.get(&key) {
            return Err(ExecError::FailedBefore { stage: stage.clone(), reason: reason.clone() });
        }
        let trajectory = Trajectory::of(stage, &fingerprint)?;
        let begins_alike = |other: &Running| trajectory.as_ref().zip(other.trajectory.as_ref()).is_some_and(|(a, b)| a.begins_like(b));
        if self.running.values().any(|other| other.key == key || begins_alike(other)) {
            return Ok(Next::Wait);
        }
        let decision = if self.options.force.contains(&stage.id) && !self.succeeded.contains(&key) {
            Decision::Run(vec![Change::Forced])
        } else if let Some(Foreseen { record, files, .. }) = foreseen.filter(|foreseen| foreseen.key == key) {
            return Ok(Next::Reuse(Done { key, record, files, origin: Origin::Cache }));
        } else {
            let earlier = variant.heads.get(&stage.id).map(|key| cache.action(key)).transpose()?.flatten();
            decide(stage, &fingerprint, &inputs, earlier.as_ref(), cache)?
        };
        match decision {
            Decision::Hit(record) => Ok(Next::Reuse(Done { key, record, files: None, origin: Origin::Cache })),
            Decision::Run(changes) => {
                let is_asked = !self.nodes[id].asked && changes != [Change::Forced];
                let asks = is_asked && self.options.remote.as_ref().is_some_and(|remote| !remote.is_given_up());
                if !asks && self.options.fetch_only {
                    return Ok(Next::LeaveOut);
                }
                if !asks && !variant.plan.may_run(&stage.id) {
                    return Err(ExecError::LeftOut);
                }
                let (path, place) = (self.path(id), variant.place.clone());
                let action = Box::new(Action { stage, path, place, key, fingerprint, inputs, changes });
                Ok(if asks { Next::Ask(action) } else { Next::Run(action, trajectory) })
            }
        }
    }

    /// A thread has ended.
    fn end(&mut self, id: NodeId, ended: Ended<'_>, cache: &Cache, outside: &mut Outside<'_>) {
        let Some(Running { allotment, key, trajectory }) = self.running.remove(&id) else { return };
        if let Some(allotment) = allotment {
            self.capacity.give_back(&allotment);
        }
        match ended.result {
            Ok(None) => {
                let node = &mut self.nodes[id];
                (node.life, node.asked) = (Life::Waiting, true);
            }
            Ok(Some(done)) => {
                self.succeeded.insert(key);
                self.finish(id, done, cache, outside);
            }
            Err(error) => {
                if !error.is_interruption() {
                    self.failed.insert(key, (self.path(id), error.to_string()));
                }
                // What cannot be read is started at the beginning.
                let point = trajectory.and_then(|trajectory| trajectory.starting_point(cache).ok());
                self.lose(id, &error, point, outside);
            }
        }
    }

    fn finish(&mut self, id: NodeId, done: Done, cache: &Cache, outside: &mut Outside<'_>) {
        let Done { key, record, files, origin } = done;
        let placed = self.as_locked(id, &record).and_then(|()| Ok(files.map_or_else(|| self.place_outputs(id, &record, cache), Ok)?));
        let files = match placed {
            Ok(files) => files,
            Err(error) => return self.fail(id, &error, outside),
        };
        let result = StageResult {
            stage: self.path(id),
            key,
            seconds: record.provenance.seconds,
            metrics: record.metrics.clone(),
            output: record.result.clone(),
            files,
            from_remote: None,
            unstable_inputs: Vec::new(),
        };
        (outside.emit)(match origin {
            Origin::Cache => RunEvent::StageReused(result),
            Origin::Remote(came) => RunEvent::StageReused(StageResult { from_remote: Some(came), ..result }),
            Origin::Run(unstable_inputs) => RunEvent::StageFinished(StageResult { unstable_inputs, ..result }),
        });
        let Node { variant, stage, life, .. } = &mut self.nodes[id];
        *life = Life::Done;
        let variant = &mut self.variants[*variant];
        variant.heads.insert(stage.id.clone(), key);
        variant.results.insert(stage.id.clone(), *record);
    }

    /// A stage that is not to run.
    fn leave_out(&mut self, id: NodeId, outside: &mut Outside<'_>) {
        self.nodes[id].life = Life::Lost;
        (outside.emit)(RunEvent::StageNotRun { stage: self.path(id), needs: None });
    }

    /// A stage that did not begin cannot be run.
    fn fail(&mut self, id: NodeId, error: &ExecError, outside: &mut Outside<'_>) {
        self.lose(id, error, None, outside);
    }

    fn lose(&mut self, id: NodeId, error: &ExecError, training: Option<StartingPoint>, outside: &mut Outside<'_>) {
        self.nodes[id].life = Life::Lost;
        self.variants[self.nodes[id].variant].failed = true;
        let stage = self.path(id);
        let (outcome, event) = match (error.is_interruption(), outside.stop.is_superseded()) {
            (true, true) => (RunOutcome::Superseded, RunEvent::StageSuperseded { stage, training }),
            (true, false) => (RunOutcome::Interrupted, RunEvent::StageFailed { stage, error: error.to_string(), training }),
            (false, _) => (RunOutcome::Failed, RunEvent::StageFailed { stage, error: error.to_string(), training }),
        };
        self.outcome = self.outcome.max(outcome);
        (outside.emit)(event);
    }

    fn as_locked(&self, id: NodeId, record: &ActionRecord) -> Result<(), ExecError> {
        let locked = self.options.locked.as_ref();
        Ok(locked.map_or(Ok(()), |lock| lock.check_outputs(&self.path(id), record))?)
    }

    fn place_outputs(&self, id: NodeId, record: &ActionRecord, cache: &Cache) -> Result<Vec<PathBuf>, CacheError> {
        let Node { variant, stage, .. } = self.nodes[id];
        let folder = self.variants[variant].output(stage, self.project);
        outputs(stage, record, &folder).map(|(digest, target)| place(cache, digest, &target).map(|()| target)).collect()
    }

    /// The stages that a stage needs.
    fn upstream(&self, id: NodeId) -> impl Iterator<Item = (&'a StageId, Life)> {
        let Node { variant, stage, .. } = self.nodes[id];
        let life = move |needed| Some((needed, self.nodes[*self.variants[variant].nodes.get(needed)?].life));
        upstream(stage).filter_map(life)
    }

    fn path(&self, id: NodeId) -> StagePath {
        let Node { variant, stage, .. } = &self.nodes[id];
        self.variants[*variant].plan.pipeline.stage_path(&stage.id)
    }
}

impl Variant<'_> {
    /// Where users find what a stage gave.
    fn output(&self, stage: &PipelineStage, project: &Project) -> PathBuf {
        project.output(&self.place, stage.id.as_str())
    }

    /// Remembers what the stages gave, for the next run to compare with.
    fn save_heads(&self, cache: &Cache) -> Result<(), CacheError> {
        if self.heads == self.first_heads { Ok(()) } else { cache.set_heads(&self.place, &self.heads) }
    }

    /// Remembers what the stages gave so far, in case that the run is killed.
    fn note_heads(&mut self, cache: &Cache) -> Result<(), CacheError> {
        if self.heads != self.noted_heads {
            cache.note_heads(&self.place, &self.heads)?;
            self.noted_heads.clone_from(&self.heads);
        }
        Ok(())
    }
}

impl ExecError {
    /// Whether the user asked for it.
    pub fn is_interruption(&self) -> bool {
        matches!(
            self,
            ExecError::Stage(StageError::Interrupted)
                | ExecError::Worker(WorkerError::Interrupted)
                | ExecError::Command(CommandError::Stopped(StageError::Interrupted))
        )
    }
}

/// Hears the threads of stages.
struct Listener<'s, 'a> {
    stay: &'s Stay<'s>,
    inbox: Receiver<Message<'a>>,
}

impl<'a> Listener<'_, 'a> {
    /// Passes events on until a stage ends; what is pinned is kept meanwhile. The channel stays open as long as the schedule's own site
    /// has a sender.
    fn next_end(&self, pins: &Pins, outside: &mut Outside<'_>) -> Result<Option<(NodeId, Ended<'a>)>, CacheError> {
        self.stay.away(pins, || {
            loop {
                match self.inbox.recv().ok()? {
                    Message::Event(event) => (outside.emit)(*event),
                    Message::Ended(id, ended) => return Some((id, ended)),
                }
            }
        })
    }
}

/// Runs a stage, or without an allotment asks the remote, on a thread of its own. The thread outlives the stage's worker, which dies
/// with it.
fn start<'scope, 'a: 'scope>(
    id: NodeId,
    action: Box<Action<'a>>,
    allotment: Option<Allotment>,
    scope: &'scope Scope<'scope, '_>,
    site: Site<'a>,
) {
    scope.spawn(move || {
        let ended = catch_unwind(AssertUnwindSafe(|| action.go(allotment.as_ref(), &site)));
        let ended = ended.unwrap_or_else(|panic| Ended { result: Err(ExecError::Panic(panic_message(panic.as_ref()))), stay: None });
        // The schedule waits for every thread, so it listens.
        drop(site.messages.send(Message::Ended(id, ended)));
    });
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
