//! L-BFGS with a line search for the strong Wolfe conditions (Nocedal and Wright, *Numerical Optimization*, 2nd edition,
//! algorithms 7.5, 3.5 and 3.6).
//!
//! Knows nothing of what it minimises. Stops by the rules that scikit-learn gives to SciPy's L-BFGS-B, so that a tolerance
//! means the same here and there.

use std::collections::VecDeque;

/// Pairs of steps and gradient changes that approximate the curvature.
const MEMORY: usize = 10;
/// Evaluations of one line search at most.
const MAX_PROBES: usize = 50;
/// A step must decrease the value by this part of what the slope promises.
const SUFFICIENT_DECREASE: f64 = 1e-3;
/// A step must end where the slope is at most this part of what it was.
const CURVATURE: f64 = 0.9;
/// A relative decrease that counts as none.
const NO_DECREASE: f64 = 64.0 * f64::EPSILON;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct StopRule {
    pub max_iterations: u32,
    /// The greatest component of the gradient at which the minimum counts as found.
    pub tolerance: f64,
}

/// Where the search ended.
#[derive(Debug)]
pub(super) struct Minimum {
    pub parameters: Vec<f64>,
    /// The greatest component of the gradient there.
    pub gradient: f64,
    /// Whether it ended by itself: at the tolerance, or because no step makes the value smaller.
    pub converged: bool,
}

/// Minimises a smooth convex function. `objective` returns the value at its first argument and writes the gradient into its
/// second; its error ends the search.
pub(super) fn minimize<E>(
    mut objective: impl FnMut(&[f64], &mut [f64]) -> Result<f64, E>,
    start: Vec<f64>,
    stop: StopRule,
) -> Result<Minimum, E> {
    let mut at = Point::evaluate(&mut objective, start)?;
    let mut curvature = Curvature::default();
    for _ in 0..stop.max_iterations {
        if at.greatest_component() <= stop.tolerance {
            break;
        }
        let direction = curvature.direction(&at.gradient);
        let first_step = if curvature.pairs.is_empty() { 1.0 / norm(&direction) } else { 1.0 };
        match line_search(&mut objective, &at, &direction, first_step)? {
            Some(next) => {
                let no_decrease = at.value - next.value <= NO_DECREASE * at.value.abs().max(next.value.abs()).max(1.0);
                curvature.learn(&at, &next);
                at = next;
                if no_decrease {
                    return Ok(at.into_minimum(true));
                }
            }
            None if curvature.pairs.is_empty() => break,
            None => curvature = Curvature::default(),
        }
    }
    let converged = at.greatest_component() <= stop.tolerance;
    Ok(at.into_minimum(converged))
}

/// A place with the function's value and gradient.
struct Point {
    parameters: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

impl Point {
    fn evaluate<E>(objective: &mut impl FnMut(&[f64], &mut [f64]) -> Result<f64, E>, parameters: Vec<f64>) -> Result<Point, E> {
        let mut gradient = vec![0.0; parameters.len()];
        let value = objective(&parameters, &mut gradient)?;
        Ok(Point { parameters, value, gradient })
    }

    fn greatest_component(&self) -> f64 {
        self.gradient.iter().fold(0.0, |greatest, component| component.abs().max(greatest))
    }

    fn into_minimum(self, converged: bool) -> Minimum {
        Minimum { gradient: self.greatest_component(), parameters: self.parameters, converged }
    }
}

/// The last steps and what they did to the gradient, oldest first.
#[derive(Default)]
struct Curvature {
    pairs: VecDeque<Pair>,
}

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// `step · change`, above 0.
    product: f64,
}

impl Curvature {
    /// The quasi-Newton direction (algorithm 7.4).
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut direction: Vec<f64> = gradient.iter().map(|component| -component).collect();
        let mut weights = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let weight = dot(&pair.step, &direction) / pair.product;
            add(&mut direction, -weight, &pair.change);
            weights.push(weight);
        }
        if let Some(last) = self.pairs.back() {
            let scale = last.product / dot(&last.change, &last.change);
            direction.iter_mut().for_each(|component| *component *= scale);
        }
        for (pair, weight) in self.pairs.iter().zip(weights.into_iter().rev()) {
            let correction = dot(&pair.change, &direction) / pair.product;
            add(&mut direction, weight - correction, &pair.step);
        }
        direction
    }

    fn learn(&mut self, from: &Point, to: &Point) {
        let step = difference(&to.parameters, &from.parameters);
        let change = difference(&to.gradient, &from.gradient);
        let product = dot(&step, &change);
        if product <= f64::EPSILON * dot(&change, &change) {
            return;
        }
        if self.pairs.len() == MEMORY {
            self.pairs.pop_front();
        }
        self.pairs.push_back(Pair { step, change, product });
    }
}

/// What is known of the function at a distance along the search direction.
#[derive(Clone, Copy)]
struct Probe {
    step: f64,
    value: f64,
    slope: f64,
}

/// A point along `direction` that satisfies the strong Wolfe conditions; `None` if none was found.
///
/// `low` is the best step so far, `high` the other end of an interval that holds a good one, once there is one.
fn line_search<E>(
    objective: &mut impl FnMut(&[f64], &mut [f64]) -> Result<f64, E>,
    from: &Point,
    direction: &[f64],
    first_step: f64,
) -> Result<Option<Point>, E> {
    let start = Probe { step: 0.0, value: from.value, slope: dot(&from.gradient, direction) };
    if start.slope >= 0.0 {
        return Ok(None);
    }
    let rounding = 4.0 * f64::EPSILON * from.value.abs();
    let (mut low, mut high, mut step) = (start, None, first_step);
    for _ in 0..MAX_PROBES {
        let mut parameters = from.parameters.clone();
        add(&mut parameters, step, direction);
        let point = Point::evaluate(objective, parameters)?;
        let probe = Probe { step, value: point.value, slope: dot(&point.gradient, direction) };
        let enough = start.value + SUFFICIENT_DECREASE * step * start.slope + rounding;
        if probe.value > enough || probe.value > low.value + rounding {
            high = Some(probe);
        } else if probe.slope.abs() <= -CURVATURE * start.slope {
            return Ok(Some(point));
        } else {
            let ahead = high.map_or(1.0, |high: Probe| high.step - low.step);
            if probe.slope * ahead >= 0.0 {
                high = Some(low);
            }
            low = probe;
        }
        step = high.map_or(2.0 * step, |high| between(low, high));
    }
    Ok(None)
}

/// The minimum of the cubic through two probes (equation 3.59), kept away from both.
fn between(low: Probe, high: Probe) -> f64 {
    let width = high.step - low.step;
    let d1 = low.slope + high.slope - 3.0 * (low.value - high.value) / (low.step - high.step);
    let d2 = width.signum() * (d1 * d1 - low.slope * high.slope).sqrt();
    let part = 1.0 - (high.slope + d2 - d1) / (high.slope - low.slope + 2.0 * d2);
    low.step + width * if part.is_finite() { part.clamp(0.1, 0.9) } else { 0.5 }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// `a += factor * b`.
fn add(a: &mut [f64], factor: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += factor * b);
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn minimum(function: impl Fn(&[f64], &mut [f64]) -> f64, start: &[f64], stop: StopRule) -> Minimum {
        let objective = |x: &[f64], gradient: &mut [f64]| Ok::<f64, Infallible>(function(x, gradient));
        minimize(objective, start.to_vec(), stop).unwrap()
    }

    /// Rosenbrock's valley, with its minimum at (1, 1).
    fn rosenbrock(x: &[f64], gradient: &mut [f64]) -> f64 {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        gradient[0] = -2.0 * a - 400.0 * x[0] * b;
        gradient[1] = 200.0 * b;
        a * a + 100.0 * b * b
    }

    #[test]
    fn the_end_of_a_curved_valley_is_found() {
        let found = minimum(rosenbrock, &[-1.2, 1.0], StopRule { max_iterations: 100, tolerance: 1e-8 });
        assert!(found.converged && found.gradient <= 1e-8);
        assert!(found.parameters.iter().all(|x| (x - 1.0).abs() < 1e-7), "{:?}", found.parameters);
    }

    #[test]
    fn a_badly_scaled_bowl_is_no_problem() {
        let scales: Vec<f64> = (0..30).map(|i| 10f64.powi(i % 7 - 3)).collect();
        let bowl = |x: &[f64], gradient: &mut [f64]| {
            gradient.iter_mut().zip(x).zip(&scales).for_each(|((g, x), scale)| *g = scale * (x - 3.0));
            x.iter().zip(&scales).map(|(x, scale)| 0.5 * scale * (x - 3.0).powi(2)).sum()
        };
        let found = minimum(bowl, &[0.0; 30], StopRule { max_iterations: 500, tolerance: 1e-7 });
        assert!(found.converged && found.parameters.iter().all(|x| (x - 3.0).abs() < 1e-3), "{:?}", found.parameters);
    }

    #[test]
    fn running_out_of_iterations_is_said() {
        let found = minimum(rosenbrock, &[-1.2, 1.0], StopRule { max_iterations: 3, tolerance: 1e-8 });
        assert!(!found.converged && found.gradient > 1e-8);
    }

    #[test]
    fn an_error_of_the_objective_ends_the_search() {
        let mut evaluations = 0;
        let objective = |x: &[f64], gradient: &mut [f64]| {
            evaluations += 1;
            if evaluations == 5 { Err("stop") } else { Ok(rosenbrock(x, gradient)) }
        };
        assert_eq!(minimize(objective, vec![-1.2, 1.0], StopRule { max_iterations: 100, tolerance: 0.0 }).unwrap_err(), "stop");
        assert_eq!(evaluations, 5);
    }
}
