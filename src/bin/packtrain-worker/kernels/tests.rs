//! Every kernel beside libtorch's own operations: outputs, gradients and running statistics.

use super::*;
use crate::weights::channels_last;

const KINDS: [(Kind, f64); 3] = [(Kind::Double, 1e-12), (Kind::Float, 1e-5), (Kind::BFloat16, 2e-2)];

/// Numbers around zero that look like nothing: the same for the same seed.
fn noise(seed: i64, shape: &[i64]) -> Tensor {
    let count: i64 = shape.iter().product();
    let places = Tensor::arange(count, (Kind::Double, Device::Cpu)) + (1000 * seed) as f64;
    (places * 12.9898).sin().multiply_scalar(43758.5453).frac().multiply_scalar(2.0).view(shape)
}

/// The greatest difference, as a part of the greatest of the expected numbers.
fn distance(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    let (found, expected) = (found.detach().to_kind(Kind::Double), expected.detach().to_kind(Kind::Double));
    let scale = expected.abs().max().double_value(&[]).max(1e-3);
    (found - expected).abs().max().double_value(&[]) / scale
}

fn assert_close(what: &str, found: &[Tensor], expected: &[Tensor], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let distance = distance(found, expected);
        assert!(distance <= tolerance, "{what}: {index} is {distance:e} away");
    }
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    crate::inference::numbers(tensor).into_iter().map(f32::to_bits).collect()
}

/// A normalisation's tensors, and what it is to be applied to.
struct Branched {
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    variance: Tensor,
    bias: Tensor,
}

impl Branched {
    fn new(seed: i64, shape: &[i64], kind: Kind) -> Branched {
        let own = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        let trained = |seed, shape: &[i64], kind| noise(seed, shape).to_kind(kind).set_requires_grad(true);
        let x = (noise(seed, shape) + 0.25).to_kind(kind);
        let x = if shape.len() == 4 { channels_last(&x) } else { x };
        let channels = [shape[1]];
        Branched {
            x: x.set_requires_grad(true),
            scale: trained(seed + 1, &channels, own),
            shift: trained(seed + 2, &channels, own),
            mean: noise(seed + 3, &channels).to_kind(own),
            variance: (noise(seed + 4, &channels).abs() + 0.5).to_kind(own),
            bias: trained(seed + 5, &channels, own),
        }
    }

    /// With statistics of its own, which a forward pass changes.
    fn twin(&self) -> Branched {
        let [x, scale, shift, bias] = [&self.x, &self.scale, &self.shift, &self.bias].map(Tensor::shallow_clone);
        Branched { x, scale, shift, bias, mean: self.mean.copy(), variance: self.variance.copy() }
    }

    fn branch(&self, bias: bool) -> Branch<'_> {
        let Branched { x, scale, shift, mean, variance, bias: tensor } = self;
        Branch { x, norm: Some(BranchNorm { scale, shift, mean, variance, bias: bias.then_some(tensor) }) }
    }

    fn with_libtorch(&self, rule: NormRule, bias: bool) -> Tensor {
        let norm = |x: &Tensor| {
            let (mean, variance) = (Some(&self.mean), Some(&self.variance));
            x.batch_norm(Some(&self.scale), Some(&self.shift), mean, variance, true, rule.momentum, rule.eps, false)
        };
        let mut sides = vec![1; self.x.dim()];
        sides[1] = -1;
        let x = if bias { &self.x + self.bias.view(sides.as_slice()).to_kind(self.x.kind()) } else { self.x.shallow_clone() };
        match rule.relu {
            ReluPlace::After => norm(&x).relu(),
            ReluPlace::Before => norm(&x.relu()),
        }
    }
}

/// Outputs, gradients and statistics of two normalised branches, and a plain one where they are images.
fn joined(branches: [&Branched; 2], rule: NormRule, bias: bool, ours: bool) -> Vec<Tensor> {
    let [first, second] = branches;
    let images = first.x.dim() == 4;
    let y = if ours {
        let plain = images.then_some(Branch { x: &first.x, norm: None });
        join_normed(&[first.branch(bias), second.branch(false)].into_iter().chain(plain).collect::<Vec<_>>(), rule)
    } else {
        let plain = images.then(|| first.x.shallow_clone());
        let parts = [first.with_libtorch(rule, bias), second.with_libtorch(rule, false)];
        Tensor::cat(&parts.into_iter().chain(plain).collect::<Vec<_>>(), 1)
    };
    let loss = (&y * noise(77, &y.size()).to_kind(y.kind())).sum(Kind::Double);
    let trained = [&first.x, &second.x, &first.scale, &second.scale, &first.shift, &second.shift];
    let gradients = Tensor::run_backward(&[loss], &trained, false, false);
    let statistics = [&first.mean, &second.mean, &first.variance, &second.variance].map(Tensor::shallow_clone);
    [y].into_iter().chain(gradients).chain(statistics).collect()
}

#[test]
fn joined_normalisations_are_libtorchs() {
    // 700 rows are several pieces; 13 and 5 channels fill no vector.
    let shapes = [[vec![7, 13, 10, 10], vec![7, 5, 10, 10]], [vec![40, 24], vec![40, 8]]];
    for (kind, tolerance) in KINDS {
        for [first, second] in &shapes {
            for relu in [ReluPlace::After, ReluPlace::Before] {
                let rule = NormRule { relu, eps: 1e-3, momentum: 0.1 };
                let branches = [Branched::new(1, first, kind), Branched::new(20, second, kind)];
                let twins = [branches[0].twin(), branches[1].twin()];
                let found = joined([&branches[0], &branches[1]], rule, false, true);
                let expected = joined([&twins[0], &twins[1]], rule, false, false);
                assert_close(&format!("{kind:?} {relu:?} {first:?}"), &found, &expected, tolerance);
            }
        }
    }
}

#[test]
fn a_bias_that_is_left_out_moves_the_running_mean_alone() {
    let rule = NormRule { relu: ReluPlace::After, eps: 1e-3, momentum: 0.1 };
    let branches = [Branched::new(1, &[7, 13, 10, 10], Kind::Double), Branched::new(20, &[7, 5, 10, 10], Kind::Double)];
    let twins = [branches[0].twin(), branches[1].twin()];
    let found = joined([&branches[0], &branches[1]], rule, true, true);
    let expected = joined([&twins[0], &twins[1]], rule, true, false);
    // The plain branch shows x, which has no bias in either.
    assert_close("bias", &found, &expected, 1e-12);
}

#[test]
fn images_that_lie_otherwise_and_gradients_without_numbers_of_their_own_will_do() {
    let rule = NormRule { relu: ReluPlace::After, eps: 1e-3, momentum: 0.1 };
    let branch = Branched::new(1, &[3, 6, 4, 4], Kind::Double);
    let mut twin = branch.twin();
    twin.x = branch.x.detach().contiguous().set_requires_grad(true);
    assert_ne!(twin.x.stride(), branch.x.stride());
    let run = |branch: &Branched| {
        let y = join_normed(&[branch.branch(false)], rule);
        // The gradient of a sum is one number, seen as many.
        Tensor::run_backward(&[y.sum(Kind::Double)], &[&branch.x, &branch.scale], false, false)
    };
    assert_close("layout", &run(&twin), &run(&branch), 1e-15);
}

#[test]
fn what_is_not_a_number_stays_so() {
    let rule = NormRule { relu: ReluPlace::After, eps: 1e-3, momentum: 0.1 };
    let branch = Branched::new(1, &[3, 6, 4, 4], Kind::Float);
    let broken = tch::no_grad(|| &branch.x * f64::NAN);
    let y = join_normed(&[Branch { x: &broken, ..branch.branch(false) }], rule);
    assert!(bits(&y).into_iter().all(|bits| f32::from_bits(bits).is_nan()));
    let pooled = max_pool(&broken, MaxPool { side: 3, stride: 2, padding: 1, ceil: false });
    assert!(bits(&pooled).into_iter().all(|bits| f32::from_bits(bits).is_nan()));
}

#[test]
fn a_window_with_one_that_is_not_a_number_has_none() {
    let x = channels_last(&noise(3, &[1, 4, 6, 6]).to_kind(Kind::Float));
    for place in 0..9 {
        let broken = x.copy();
        let filled = broken.get(0).select(1, place / 3).select(1, place % 3).fill_(f64::NAN);
        assert!(filled.double_value(&[0]).is_nan());
        let pooled = max_pool(&broken, MaxPool { side: 3, stride: 3, padding: 0, ceil: false });
        assert!(bits(&pooled.select(2, 0).select(2, 0)).into_iter().all(|bits| f32::from_bits(bits).is_nan()));
        assert!(bits(&pooled.select(2, 1)).into_iter().all(|bits| f32::from_bits(bits).is_finite()));
    }
}

#[test]
fn max_pooling_is_libtorchs() {
    let pools = [(3, 2, 0, false), (3, 2, 0, true), (3, 1, 1, false), (3, 2, 1, false), (3, 2, 0, true), (2, 3, 1, true)];
    for (kind, _) in KINDS {
        for ((side, stride, padding, ceil), size) in pools.iter().flat_map(|pool| [7, 8, 13].map(|size| (*pool, size))) {
            // Few different numbers, so that some are equal: the first of them counts.
            let x = (noise(3, &[5, 13, size, size]) * 4.0).round().to_kind(kind);
            let x = channels_last(&x).set_requires_grad(true);
            let run = |y: Tensor| {
                let loss = (&y * noise(5, &y.size()).to_kind(kind)).sum(Kind::Double);
                let gradient = Tensor::run_backward(&[loss], &[&x], false, false).remove(0);
                [y, gradient]
            };
            let found = run(max_pool(&x, MaxPool { side, stride, padding, ceil }));
            let expected = run(x.max_pool2d([side; 2], [stride; 2], [padding; 2], [1; 2], ceil));
            let what = format!("{kind:?} {side} {stride} {padding} {ceil} {size}");
            assert_eq!(bits(&found[0]), bits(&expected[0]), "{what}");
            // libtorch sums bf16 in bf16.
            let tolerance = if kind == Kind::BFloat16 { 1e-2 } else { 1e-6 };
            assert_close(&what, &found[1..], &expected[1..], tolerance);
        }
    }
}

#[test]
fn convolutions_with_what_follows_are_libtorchs() {
    for (kind, tolerance) in [(Kind::Float, 1e-5), (Kind::BFloat16, 2e-2)] {
        for (side, stride, padding) in [(1, 1, 0), (3, 1, 1), (3, 2, 1), (7, 2, 3)] {
            tch::no_grad(|| {
                let x = channels_last(&noise(1, &[2, 16, 14, 14]).to_kind(kind));
                let kernel = channels_last(&noise(2, &[24, 16, side, side]).to_kind(kind));
                let bias = noise(3, &[24]).to_kind(kind);
                let window = Window { padding, stride };
                let packed = pack_kernel(&kernel, window, &x);
                let plain = x.conv2d(&kernel, Some(&bias), [stride; 2], [padding; 2], [1, 1], 1);
                let image = channels_last(&noise(4, &plain.size()).to_kind(kind));
                let sum = (&plain + &image).relu();
                let cases = [(Then::Nothing, plain.shallow_clone()), (Then::Relu, plain.relu()), (Then::AddAndRelu(image), sum)];
                for (then, expected) in cases {
                    let found = convolve(&x, [&packed, &bias], window, &then);
                    assert_close(&format!("{kind:?} {side} {stride} {then:?}"), &[found], &[expected], tolerance);
                }
            });
        }
    }
}

/// Weights, a gradient and two memories, lying as channels-last; the gradient may lie otherwise.
fn stepped(gradient_alike: bool) -> [Tensor; 4] {
    let shape = [40, 30, 9, 9];
    let [weights, gradient, mean, square] = [1, 2, 3, 4].map(|seed| noise(seed, &shape).to_kind(Kind::Float));
    let gradient = if gradient_alike { channels_last(&gradient) } else { gradient };
    [channels_last(&weights), gradient, channels_last(&mean), channels_last(&square.abs())]
}

const ADAM: AdamStep = AdamStep { step_size: 0.02, beta1: 0.9, beta2: 0.99, eps: 1e-8, root_correction: 0.3, penalty: 0.01, shrink: 0.998 };

#[test]
fn steps_are_their_formulas() {
    let [weights, gradient, velocity, square] = stepped(true);
    let step = SgdStep { learning_rate: 0.1, momentum: 0.9, penalty: 0.02, nesterov: true };
    let slope = &gradient + &weights * 0.02;
    let speed = &velocity * 0.9 + &slope;
    let expected = [&weights - (&slope + &speed * 0.9) * 0.1, speed];
    let squares = weights.square().sum(Kind::Double).double_value(&[]);
    assert!((sgd_step(step, &weights, &gradient, &velocity) / squares - 1.0).abs() < 1e-6);
    assert_close("sgd", &[weights, velocity], &expected, 1e-6);

    let [weights, gradient, mean, _] = stepped(true);
    let slope = &gradient + &weights * 0.01;
    let first = &mean * 0.9 + &slope * 0.1;
    let second = &square * 0.99 + slope.square() * 0.01;
    let expected = [&weights * 0.998 - &first / (second.sqrt() / 0.3 + 1e-8) * 0.02, first, second];
    adam_step(ADAM, &weights, &gradient, [&mean, &square]);
    assert_close("adam", &[weights, mean, square], &expected, 1e-5);
}

#[test]
fn a_gradient_may_lie_otherwise_than_the_weights() {
    let after = |alike| {
        let [weights, gradient, mean, square] = stepped(alike);
        adam_step(ADAM, &weights, &gradient, [&mean, &square]);
        bits(&weights)
    };
    assert_eq!(after(true), after(false));
}

/// A training that is resumed on fewer cores would else not give the bits of one that is not.
#[test]
fn the_number_of_threads_changes_no_bit() {
    let rule = NormRule { relu: ReluPlace::After, eps: 1e-3, momentum: 0.1 };
    let (normal, mut runs) = (tch::get_num_threads(), Vec::new());
    for threads in [1, 3] {
        tch::set_num_threads(threads);
        let branches = [Branched::new(1, &[9, 40, 20, 20], Kind::Float), Branched::new(20, &[9, 24, 20, 20], Kind::Float)];
        let y = joined([&branches[0], &branches[1]], rule, false, true);
        let [weights, gradient, mean, square] = stepped(true);
        let squares = adam_step(ADAM, &weights, &gradient, [&mean, &square]);
        runs.push((y.iter().chain([&weights]).map(bits).collect::<Vec<_>>(), squares.to_bits()));
    }
    tch::set_num_threads(normal);
    assert!(runs[0] == runs[1]);
}

#[test]
fn the_squared_norm_is_that_of_all_tensors_together() {
    let tensors = [noise(1, &[40, 30]), noise(2, &[7]), noise(3, &[5, 4, 3, 3])].map(|tensor| tensor.to_kind(Kind::Float));
    let expected: f64 = tensors.iter().map(|tensor| tensor.square().sum(Kind::Double).double_value(&[])).sum();
    let found = squared_norm(&tensors.each_ref()).double_value(&[]);
    assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
}
