//! `train`: a network from images, epoch by epoch.

mod data;
mod objective;
mod state;

use std::time::{Duration, Instant};

use packtrain::artifact::{Checkpoint, InputSpec, Mean};
use packtrain::event::{EpochMetrics, EpochStart, StageEvent};
use packtrain::stage::{Keep, Precision, StageContext, StageError, StageJob, Train};
use packtrain::view::{Draws, Purpose};
use tch::{Device, Kind, Tensor};

use crate::device::bring;
use crate::inference::{Inference, Progress, in_precision};
use crate::net::{Classifier, Mode};
use crate::optim::clip;
use crate::train::data::{Part, TrainingData};
use crate::train::objective::Objective;
use crate::train::state::TrainState;
use crate::trained;

/// What stays the same throughout a training.
struct Training<'a> {
    spec: &'a Train,
    seed: u64,
    device: Device,
    data: TrainingData,
    net: Classifier,
    objective: Objective,
}

/// The most work, beside that of the epoch under way, that is lost when the machine fails.
const MOST_LOST: Duration = Duration::from_secs(120);

/// How often the means so far are read, for which the device is waited for.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Means over images.
#[derive(Debug, Clone, Copy)]
struct Score {
    /// Cross-entropy and penalty.
    loss: f64,
    accuracy: f64,
}

/// Runs the stage.
pub fn run(spec: &Train, job: &StageJob, device: Device, context: &mut StageContext<'_>) -> Result<(), StageError> {
    let mean = job.optional_file("mean")?.map(Mean::read).transpose()?;
    let data = TrainingData::open(spec, job, mean.as_ref(), device)?;
    let (mut state, net) = TrainState::new(spec, job.seed, data.class_names().len(), device);
    if let Some(checkpoint) = &job.resume {
        state.restore(checkpoint)?;
        context.emit(StageEvent::Note { message: format!("going on after epoch {} of {}", state.epoch, spec.total_epochs()) });
    }
    let objective = Objective::new(spec, data.class_names(), data.train.labels(), device)?;
    let training = Training { spec, seed: job.seed, device, data, net, objective };
    training.go_on(&mut state, job, context)?;

    let view = trained::view_name(spec.input.eval).to_owned();
    let packed = training.data.train.feed.source().images().rule();
    let input = InputSpec { size: spec.input.size, eval: view, scale: spec.input.scale, mean, packed };
    let tensors = state.best.unwrap_or_else(|| state.weights.save());
    trained::write(&job.output("model")?, &spec.model, training.data.class_names().to_vec(), input, &tensors)?;
    state.history.write(&job.output("history")?)?;
    state.history.write_csv(&job.output("history-table")?)?;
    Ok(state.history.write_curves(&job.output("curves")?)?)
}

impl Training<'_> {
    /// Takes the state from where it is to the last epoch, or to where early stopping ends it. The states to be kept are written
    /// as files; so is one when the last was written long ago and, when the user asks to stop, the last one before that.
    fn go_on(&self, state: &mut TrainState, job: &StageJob, context: &mut StageContext<'_>) -> Result<(), StageError> {
        let kept = self.spec.checkpoint_epochs();
        let (mut unwritten, mut written) = (None, Instant::now());
        for &learning_rate in self.spec.learning_rates().iter().skip(state.epoch as usize) {
            if let Some(stopping) = self.spec.early_stopping.as_ref().filter(|stopping| stopping.stops_after(&state.history.epochs)) {
                context.emit(StageEvent::Note { message: format!("stopped after epoch {}: {stopping}", state.epoch) });
                break;
            }
            match self.epoch(learning_rate, state, context) {
                Ok(metrics) => context.emit(StageEvent::Epoch(metrics)),
                Err(StageError::Interrupted) => {
                    unwritten.map_or(Ok(()), |checkpoint| write(&checkpoint, job, context))?;
                    return Err(StageError::Interrupted);
                }
                Err(error) => return Err(error),
            }
            let checkpoint = state.checkpoint();
            if kept.contains(&state.epoch) || written.elapsed() >= MOST_LOST {
                write(&checkpoint, job, context)?;
                (unwritten, written) = (None, Instant::now());
            } else {
                unwritten = Some(checkpoint);
            }
        }
        Ok(())
    }

    /// Takes the state one epoch further.
    fn epoch(&self, learning_rate: f64, state: &mut TrainState, context: &mut StageContext<'_>) -> Result<EpochMetrics, StageError> {
        let epoch = state.epoch + 1;
        let epochs = self.spec.total_epochs();
        let started = Instant::now();
        context.emit(StageEvent::EpochStarted(EpochStart { epoch, epochs, learning_rate }));
        let progress = Progress::new(format!("epoch {epoch}/{epochs}"), self.data.train.len());
        let train = self.learn(learning_rate, state, progress, context)?;
        let seconds = started.elapsed().as_secs_f64();
        let validating = format!("epoch {epoch}/{epochs}, validating");
        let val = self.data.val.as_ref().map(|val| self.measure(val, state, validating, context)?.finite("validation loss", epoch));
        let val = val.transpose()?;
        let metrics = EpochMetrics {
            epoch,
            epochs,
            learning_rate,
            train_loss: train.loss,
            train_accuracy: train.accuracy,
            val_loss: val.map(|val| val.loss),
            val_accuracy: val.map(|val| val.accuracy),
            images_per_second: self.data.train.len() as f64 / seconds,
            finished: Some(jiff::Timestamp::now().to_string()),
        };
        state.epoch = epoch;
        state.history.epochs.push((&metrics).into());
        if let Keep::Best { metric } = self.spec.keep
            && metric.best(&state.history.epochs).is_some_and(|best| best + 1 == state.history.epochs.len())
        {
            state.best = Some(state.weights.save());
        }
        Ok(metrics)
    }

    /// One pass over the training images with a step for every batch. The score is that of every batch before its step.
    fn learn(
        &self,
        learning_rate: f64,
        state: &mut TrainState,
        mut progress: Progress,
        context: &mut StageContext<'_>,
    ) -> Result<Score, StageError> {
        let part = &self.data.train;
        let plan = self.data.training_plan(self.spec, self.seed, state.epoch + 1)?;
        // Sums stay on the device: reading them would wait for it in every step.
        let mut loss_sum = Tensor::zeros([], (Kind::Double, self.device));
        let mut correct_sum = Tensor::zeros([], (Kind::Int64, self.device));
        let (mut seen, mut told) = (0, Instant::now());
        part.feed.for_each(&plan, |samples, inputs| {
            context.check_cancelled()?;
            let labels = bring(&Tensor::from_slice(&part.labels_of(samples)), self.device);
            let (loss, correct) = self.step(learning_rate, state, inputs, &labels);
            loss_sum += loss.to_kind(Kind::Double) * samples.len() as i64;
            correct_sum += correct;
            seen += samples.len();
            progress.advance(samples.len(), context);
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let Score { loss, accuracy } = score(&loss_sum, &correct_sum, seen).finite("loss", state.epoch + 1)?;
                context.emit(StageEvent::EpochSoFar { loss, accuracy });
            }
            Ok(())
        })?;
        score(&loss_sum, &correct_sum, part.len()).finite("loss", state.epoch + 1)
    }

    /// One step. Returns the batch's mean loss with the penalty, and how many of its images were classified correctly.
    fn step(&self, learning_rate: f64, state: &mut TrainState, images: &Tensor, labels: &Tensor) -> (Tensor, Tensor) {
        tch::manual_seed(Draws::new(self.seed, Purpose::Dropout, [state.optimizer.steps, 0]).bits() as i64);
        let logits = self.net.logits(&in_precision(images, self.spec.precision), Mode::Train).to_kind(Kind::Float);
        let loss = self.objective.loss(&logits, labels);
        let trained: Vec<_> = state.weights.trained().map(|weight| &weight.tensor).collect();
        let gradients = Tensor::run_backward(&[&loss], &trained, false, false);
        let gradients = if let Some(norm) = self.spec.clip_norm { clip(gradients, norm) } else { gradients };

        let l2 = self.spec.model.l2();
        let penalty = state.optimizer.step(learning_rate, &state.weights, &gradients, l2);
        let loss = penalty.map_or_else(|| loss.detach(), |penalty| loss.detach() + penalty);
        let correct = logits.argmax(1, false).eq_tensor(labels).sum(Kind::Int64);
        (loss, correct)
    }

    /// Loss and accuracy without training.
    fn measure(&self, part: &Part, state: &TrainState, activity: String, context: &mut StageContext<'_>) -> Result<Score, StageError> {
        let source = part.feed.source();
        let plan = source.in_order(source.eval_view(self.spec.input.eval)?, self.spec.batch);
        let classes = self.data.class_names().len();
        let mut logits = Vec::with_capacity(part.len() * classes);
        let forward = |images: &_| self.net.logits(images, Mode::Infer);
        let inference = Inference { precision: Precision::Fp32, activity, forward: &forward };
        inference.run(&part.feed, &plan, context, |rows| {
            logits.extend_from_slice(rows);
            Ok(())
        })?;
        let logits = Tensor::from_slice(&logits).view([-1, classes as i64]);
        let labels = Tensor::from_slice(part.labels());
        let penalty = self.spec.model.l2() * state.weights.squared_norm().double_value(&[]);
        let correct = logits.argmax(1, false).eq_tensor(&labels).sum(Kind::Int64).int64_value(&[]);
        let loss = logits.cross_entropy_for_logits(&labels).double_value(&[]) + penalty;
        Ok(Score { loss, accuracy: correct as f64 / part.len() as f64 })
    }
}

impl Score {
    /// The same, or an error if the training has diverged: nothing is to be learned from there on, and events have no such numbers.
    fn finite(self, what: &str, epoch: u32) -> Result<Score, StageError> {
        if self.loss.is_finite() {
            return Ok(self);
        }
        let Score { loss, .. } = self;
        Err(StageError::Invalid(format!(
            "training diverged: the {what} of epoch {epoch} is {loss}; try a lower learning rate, or subtract a mean"
        )))
    }
}

/// The means of sums over `images`.
fn score(loss_sum: &Tensor, correct_sum: &Tensor, images: usize) -> Score {
    let images = images as f64;
    Score { loss: loss_sum.double_value(&[]) / images, accuracy: correct_sum.int64_value(&[]) as f64 / images }
}

/// Writes a state for the coordinator to keep.
fn write(checkpoint: &Checkpoint, job: &StageJob, context: &mut StageContext<'_>) -> Result<(), StageError> {
    let epoch = checkpoint.counters.epoch;
    let file = format!("checkpoint-{epoch}.safetensors");
    checkpoint.write(&job.out.join(&file))?;
    context.emit(StageEvent::Checkpoint { epoch, file });
    Ok(())
}
