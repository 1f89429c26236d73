//! Fits compared with those of scikit-learn 1.9:
//!
//! ```python
//! def data(classes):
//!     i, j = np.mgrid[0:90, 0:6].astype(np.float64)
//!     y = (np.arange(90) * 7 + np.arange(90) // 5) % classes
//!     x = np.sin(12.9898 * (i + 1) + 78.233 * (j + 1) * (i % 17 + 1)) + 0.6 * np.cos((y[:, None] + 1) * (j + 1))
//!     return x.astype(np.float32).astype(np.float64), y
//!
//! for classes in (2, 4):
//!     x, y = data(classes)
//!     m = LogisticRegression(C=0.5, tol=1e-10, max_iter=10000).fit(x, y)
//!     print(m.coef_.tolist(), m.intercept_.tolist(), m.score(x, y))
//!     g = GridSearchCV(LogisticRegression(), {"C": [1e-3, 1e-2, 0.1, 1.0, 10.0]}, cv=3).fit(x, y)
//!     print(g.best_params_, g.best_score_)
//! ```

use std::sync::atomic::AtomicBool;

use super::*;
use crate::artifact::RowLabels;

const ROWS: usize = 90;
const DIMENSIONS: usize = 6;

fn features(classes: usize) -> FeaturesFile {
    let labels: Vec<i64> = (0..ROWS).map(|i| ((i * 7 + i / 5) % classes) as i64).collect();
    let value = |i: usize, j: usize| {
        let noise = (12.9898 * (i + 1) as f64 + 78.233 * ((j + 1) * (i % 17 + 1)) as f64).sin();
        (noise + 0.6 * ((labels[i] as usize + 1) as f64 * (j + 1) as f64).cos()) as f32
    };
    let values = (0..ROWS * DIMENSIONS).map(|index| value(index / DIMENSIONS, index % DIMENSIONS)).collect();
    let label_names = ["ant", "bee", "cow", "dog"][..classes].iter().map(|name| (*name).to_owned()).collect();
    let paths = (0..ROWS).map(|i| format!("{i}.jpg")).collect();
    FeaturesFile { values, dimensions: DIMENSIONS, rows: RowLabels { labels, label_names, paths } }
}

/// Runs `work` with a context that keeps what is emitted.
fn with_context<T>(work: impl FnOnce(&mut StageContext<'_>) -> T) -> (T, Vec<StageEvent>) {
    let mut events = Vec::new();
    let cancelled = AtomicBool::new(false);
    let result = work(&mut StageContext { emit: &mut |event| events.push(event), cancelled: &cancelled, deadline: None });
    (result, events)
}

fn exact() -> LogisticRegression {
    LogisticRegression { tolerance: 1e-10, max_iterations: 10_000, ..LogisticRegression::default() }
}

/// The parameters at the minimum over all rows, with C = 0.5.
fn fitted(samples: &Samples<'_>) -> Vec<f64> {
    let rows: Vec<usize> = (0..ROWS).collect();
    let objective = Objective { samples, rows: &rows, c: 0.5 };
    let (found, _) = with_context(|context| fit(&objective, vec![0.0; samples.parameters()], &exact(), context));
    found.unwrap().parameters
}

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-5 * expected.abs(), "{found} is not {expected}");
    }
}

#[test]
fn two_classes_are_fitted_as_by_scikit_learn() {
    let features = features(2);
    let samples = samples(Path::new("train.h5"), &features).unwrap();
    let found = fitted(&samples);
    assert_close(&found, &[-0.96506056, -0.18436875, 1.56937537, 0.38434658, -0.97271009, -0.10688533, -0.42042238]);
    let rows: Vec<usize> = (0..ROWS).collect();
    assert_eq!(samples.accuracy(&found, &rows), 78.0 / 90.0);
}

#[test]
fn four_classes_are_fitted_as_by_scikit_learn() {
    let features = features(4);
    let samples = samples(Path::new("train.h5"), &features).unwrap();
    let found = fitted(&samples);
    assert_close(
        &found,
        &[
            0.79849746,
            -0.28610693,
            -0.86336064,
            -0.44345193,
            0.52895932,
            0.02253389,
            0.05408170,
            -0.50161691,
            0.76840338,
            0.11158249,
            -0.60798633,
            0.02453306,
            -0.41412049,
            0.84295014,
            -0.69614471,
            0.96488060,
            -0.48620475,
            0.21761290,
            -0.43845866,
            -0.05522630,
            0.79110198,
            -0.63301116,
            0.56523175,
            -0.26467985,
            0.65692042,
            -0.13830697,
            -0.46713470,
            -0.05147875,
        ],
    );
    let rows: Vec<usize> = (0..ROWS).collect();
    assert_eq!(samples.accuracy(&found, &rows), 65.0 / 90.0);
}

#[test]
fn c_is_chosen_as_by_scikit_learn() {
    let parameters = LogisticRegression { c: vec![1e-3, 1e-2, 0.1, 1.0, 10.0], ..LogisticRegression::default() };
    for (classes, best, accuracy) in [(2, 10.0, 77.0 / 90.0), (4, 1.0, 61.0 / 90.0)] {
        let features = features(classes);
        let samples = samples(Path::new("train.h5"), &features).unwrap();
        let (c, events) = with_context(|context| choose_c(Path::new("train.h5"), &samples, &parameters, context));
        assert_eq!(c.unwrap(), best);
        let metric = events.iter().find_map(|event| match event {
            StageEvent::Metric { name, value } if name == "cv accuracy" => Some(*value),
            _ => None,
        });
        assert!((metric.unwrap() - accuracy).abs() < 1e-12, "{metric:?}");
        let fits = events.iter().filter(|event| matches!(event, StageEvent::Progress { total: 15, unit: Unit::Fits, .. })).count();
        assert_eq!(fits, 15);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let features = features(4);
    let samples = samples(Path::new("train.h5"), &features).unwrap();
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| fitted(&samples));
    assert_eq!(on(1), on(3));
}

#[test]
fn a_class_with_fewer_rows_than_folds_is_named() {
    let mut features = features(2);
    features.rows.labels = (0..ROWS).map(|row| i64::from(row < 2)).collect();
    let samples = samples(Path::new("train.h5"), &features).unwrap();
    let (result, _) = with_context(|context| choose_c(Path::new("train.h5"), &samples, &LogisticRegression::default(), context));
    let expected = "train.h5: class bee has 2 rows, too few for 3 folds; use fewer folds or give a single `c`";
    assert_eq!(result.unwrap_err().to_string(), expected);
}

#[test]
fn features_of_a_single_class_are_refused() {
    let mut features = features(2);
    features.rows.labels = vec![1; ROWS];
    let error = samples(Path::new("train.h5"), &features).unwrap_err().to_string();
    assert_eq!(error, "train.h5: a classifier needs rows of two classes, but all rows are of class bee");
}

#[test]
fn a_class_without_rows_is_left_out_of_the_model() {
    let mut features = features(4);
    features.rows.labels.iter_mut().for_each(|label| *label = if *label == 1 { 2 } else { *label });
    let samples = samples(Path::new("train.h5"), &features).unwrap();
    assert_eq!(samples.class_names, ["ant", "cow", "dog"]);
}

#[test]
fn parameters_that_cannot_work_are_found_before_anything_runs() {
    let parameters = LogisticRegression { c: vec![1.0, 0.0], folds: 1, max_iterations: 0, tolerance: f64::NAN };
    let paths: Vec<_> = parameters.check().into_iter().map(|problem| problem.path).collect();
    let keys = ["c", "folds", "max-iterations", "tolerance"];
    assert_eq!(paths, keys.map(|key| format!("model.logistic-regression.{key}")));
    assert_eq!(LogisticRegression::default().check(), []);
}
