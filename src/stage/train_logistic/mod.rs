//! `train` with `model: logistic-regression`: a linear classifier on features, by L-BFGS, with C chosen by
//! cross-validation.
//!
//! Gives what scikit-learn's `GridSearchCV(LogisticRegression(), {"C": …}, cv=folds)` gives on the same rows.

mod folds;
mod lbfgs;
mod objective;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::FeaturesFile;
use crate::event::{StageEvent, Unit};
use crate::stage::{ArtifactType, InputUse, OutputDecl, ParameterProblem, Reference, StageContext, StageError, StageJob, StageOutput};
use folds::assign_folds;
use lbfgs::{Minimum, StopRule, minimize};
use objective::{Objective, Samples};

/// Fits logistic regression to features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainLogistic {
    /// The features to learn from.
    pub train: Reference,
    /// The classifier.
    pub model: ClassifierModel,
}

/// A classifier of features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClassifierModel {
    LogisticRegression(LogisticRegression),
}

/// Logistic regression with an L2 penalty, as scikit-learn defines it: multinomial for more than two classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogisticRegression {
    /// Inverse strengths of the penalty to choose from; the first with the best mean accuracy over the folds is used. A single one is
    /// used without cross-validation.
    #[serde(default = "LogisticRegression::default_c")]
    pub c: Vec<f64>,
    /// Folds of the cross-validation: stratified, in the order of the rows.
    #[serde(default = "LogisticRegression::default_folds")]
    #[schemars(range(min = 2))]
    pub folds: u32,
    /// L-BFGS iterations at most.
    #[serde(default = "LogisticRegression::default_max_iterations")]
    #[schemars(range(min = 1))]
    pub max_iterations: u32,
    /// The greatest component of the mean loss's gradient at which a fit is done.
    #[serde(default = "LogisticRegression::default_tolerance")]
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
}

impl TrainLogistic {
    pub(super) fn inputs(&self) -> Vec<InputUse<'_>> {
        vec![InputUse::reference("train", &self.train, &[ArtifactType::Features])]
    }

    pub(super) fn outputs(&self) -> Vec<OutputDecl> {
        vec![OutputDecl::new("model", ArtifactType::Model, "model.safetensors")]
    }

    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        let ClassifierModel::LogisticRegression(parameters) = &self.model;
        parameters.check()
    }
}

impl LogisticRegression {
    fn check(&self) -> Vec<ParameterProblem> {
        let problem = |key: &str, message: &str| ParameterProblem::new(format!("model.logistic-regression.{key}"), message);
        let mut problems = Vec::new();
        if self.c.is_empty() || !self.c.iter().all(|c| c.is_finite() && *c > 0.0) {
            problems.push(problem("c", "`c` is a list of at least one number above 0"));
        }
        if self.folds < 2 {
            problems.push(problem("folds", "`folds` is at least 2"));
        }
        if self.max_iterations == 0 {
            problems.push(problem("max-iterations", "`max-iterations` is at least 1"));
        }
        if self.tolerance.is_nan() || self.tolerance < 0.0 {
            problems.push(problem("tolerance", "`tolerance` is 0 or more"));
        }
        problems
    }

    fn stop_rule(&self) -> StopRule {
        StopRule { max_iterations: self.max_iterations, tolerance: self.tolerance }
    }

    fn default_c() -> Vec<f64> {
        vec![1e-4, 1e-3, 1e-2, 0.1, 1.0]
    }

    fn default_folds() -> u32 {
        3
    }

    fn default_max_iterations() -> u32 {
        100
    }

    fn default_tolerance() -> f64 {
        1e-4
    }
}

impl Default for LogisticRegression {
    fn default() -> LogisticRegression {
        LogisticRegression {
            c: LogisticRegression::default_c(),
            folds: LogisticRegression::default_folds(),
            max_iterations: LogisticRegression::default_max_iterations(),
            tolerance: LogisticRegression::default_tolerance(),
        }
    }
}

pub(super) fn run(spec: &TrainLogistic, job: &StageJob, context: &mut StageContext<'_>) -> Result<StageOutput, StageError> {
    let path = job.file("train")?;
    let features = FeaturesFile::open(path)?;
    let samples = samples(path, &features)?;
    let ClassifierModel::LogisticRegression(parameters) = &spec.model;

    let c = choose_c(path, &samples, parameters, context)?;
    let rows: Vec<usize> = (0..samples.classes.len()).collect();
    let start = vec![0.0; samples.parameters()];
    let fit = fit(&Objective { samples: &samples, rows: &rows, c }, start, parameters, context)?;
    if !fit.converged {
        let message = format!(
            "the fit has not converged after {} iterations: the greatest component of the gradient is {:.1e}, the tolerance {:e}",
            parameters.max_iterations, fit.gradient, parameters.tolerance
        );
        context.emit(StageEvent::Warning { message });
    }
    context.emit(StageEvent::Metric { name: "C".to_owned(), value: c });

    let used = ClassifierModel::LogisticRegression(LogisticRegression { c: vec![c], ..parameters.clone() });
    let architecture = serde_json::to_value(used).map_err(|error| StageError::Invalid(error.to_string()))?;
    samples.classifier(&fit.parameters).write(&job.output("model")?, architecture)?;
    Ok(StageOutput::default())
}

/// The rows, with the classes that have any.
fn samples<'a>(path: &Path, features: &'a FeaturesFile) -> Result<Samples<'a>, StageError> {
    let invalid = |reason: String| StageError::Input { path: path.to_owned(), reason };
    let labels = &features.rows.labels;
    let mut class_of: BTreeMap<i64, usize> = labels.iter().map(|label| (*label, 0)).collect();
    class_of.values_mut().enumerate().for_each(|(index, class)| *class = index);
    let name = |label: &i64| {
        let name = usize::try_from(*label).ok().and_then(|label| features.rows.label_names.get(label));
        name.cloned().unwrap_or_else(|| label.to_string())
    };
    let class_names: Vec<String> = class_of.keys().map(name).collect();
    if class_names.len() < 2 {
        let found = class_names.first().map_or_else(|| "there are no rows".to_owned(), |name| format!("all rows are of class {name}"));
        return Err(invalid(format!("a classifier needs rows of two classes, but {found}")));
    }
    let classes = labels.iter().map(|label| class_of[label]).collect();
    Ok(Samples { values: &features.values, dimensions: features.dimensions, classes, class_names })
}

/// The first C with the best mean accuracy over the folds.
fn choose_c(
    path: &Path,
    samples: &Samples<'_>,
    parameters: &LogisticRegression,
    context: &mut StageContext<'_>,
) -> Result<f64, StageError> {
    if let [c] = parameters.c[..] {
        return Ok(c);
    }
    check_class_sizes(path, samples, parameters.folds)?;
    let folds = parameters.folds as usize;
    let fold_of = assign_folds(&samples.classes, folds);
    let mut accuracies = vec![0.0; parameters.c.len()];
    let mut unconverged = 0;
    for fold in 0..folds {
        let (held_out, rows): (Vec<usize>, Vec<usize>) = (0..fold_of.len()).partition(|row| fold_of[*row] == fold);
        let mut start = vec![0.0; samples.parameters()];
        for (index, c) in parameters.c.iter().copied().enumerate() {
            let fit = fit(&Objective { samples, rows: &rows, c }, start, parameters, context)?;
            unconverged += u32::from(!fit.converged);
            accuracies[index] += samples.accuracy(&fit.parameters, &held_out) / folds as f64;
            start = fit.parameters;
            let done = (fold * parameters.c.len() + index + 1) as u64;
            let total = (folds * parameters.c.len()) as u64;
            context.emit(StageEvent::Progress { activity: "cross-validation".to_owned(), done, total, unit: Unit::Fits });
        }
    }
    if unconverged > 0 {
        let total = folds * parameters.c.len();
        let message = format!("{unconverged} of {total} fits of the cross-validation have not converged; raise `max-iterations`");
        context.emit(StageEvent::Warning { message });
    }
    let best = (1..accuracies.len()).fold(0, |best, index| if accuracies[index] > accuracies[best] { index } else { best });
    context.emit(StageEvent::Metric { name: "cv accuracy".to_owned(), value: accuracies[best] });
    Ok(parameters.c[best])
}

fn check_class_sizes(path: &Path, samples: &Samples<'_>, folds: u32) -> Result<(), StageError> {
    for (class, name) in samples.class_names.iter().enumerate() {
        let rows = samples.classes.iter().filter(|other| **other == class).count();
        if rows < folds as usize {
            let reason = format!("class {name} has {rows} rows, too few for {folds} folds; use fewer folds or give a single `c`");
            return Err(StageError::Input { path: path.to_owned(), reason });
        }
    }
    Ok(())
}

fn fit(
    objective: &Objective<'_>,
    start: Vec<f64>,
    parameters: &LogisticRegression,
    context: &StageContext<'_>,
) -> Result<Minimum, StageError> {
    let evaluate = |at: &[f64], gradient: &mut [f64]| {
        context.check_cancelled()?;
        Ok(objective.evaluate(at, gradient))
    };
    minimize(evaluate, start, parameters.stop_rule())
}
