//! What libtorch lacks on the CPU, in C++: layers that read and write memory less often, steps of optimizers in one pass, oneDNN's
//! convolutions with what follows them, and an allocator that keeps what it has. And what `tch` does not reach: the steps of optimizers
//! that libtorch makes on all tensors at once.
//!
//! The one place that calls `torch.cpp`. Knows neither networks nor weights by name.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use tch::{Device, Kind, Tensor};

/// A branch of [`join_normed`].
#[derive(Debug, Clone, Copy)]
pub struct Branch<'a> {
    /// `[N,C,H,W]` or `[N,C]`.
    pub x: &'a Tensor,
    /// Without one, the branch is only copied.
    pub norm: Option<BranchNorm<'a>>,
}

/// A batch normalisation's tensors, each `[C]`.
#[derive(Debug, Clone, Copy)]
pub struct BranchNorm<'a> {
    pub scale: &'a Tensor,
    pub shift: &'a Tensor,
    pub mean: &'a Tensor,
    pub variance: &'a Tensor,
    /// A bias that was not added to `x`, because the normalisation would take it away again: it counts in the running mean alone.
    pub bias: Option<&'a Tensor>,
}

/// How branches are normalised.
#[derive(Debug, Clone, Copy)]
pub struct NormRule {
    pub relu: ReluPlace,
    pub eps: f64,
    pub momentum: f64,
}

/// On which side of a normalisation the ReLU stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ReluPlace {
    After = 0,
    Before = 1,
}

/// A max pooling over square windows.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct MaxPool {
    pub side: i64,
    pub stride: i64,
    pub padding: i64,
    /// Whether the last window may reach over the border.
    pub ceil: bool,
}

/// How the window of a convolution moves.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Window {
    /// Zeros on every side.
    pub padding: i64,
    pub stride: i64,
}

/// What follows a convolution.
#[derive(Debug)]
pub enum Then {
    Nothing,
    Relu,
    /// An image is added, over which the result is written, and a ReLU follows.
    AddAndRelu(Tensor),
}

/// A step of stochastic gradient descent; `penalty * weight` is added to the gradient.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct SgdStep {
    pub learning_rate: f32,
    pub momentum: f32,
    pub penalty: f32,
    pub nesterov: bool,
}

/// A step of Adam: `weight = shrink * weight - step_size * mean / (sqrt(square) / root_correction + eps)`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct AdamStep {
    pub step_size: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    pub root_correction: f32,
    pub penalty: f32,
    pub shrink: f32,
}

/// A step of stochastic gradient descent on many tensors.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct FusedSgd {
    pub learning_rate: f64,
    pub momentum: f64,
    /// `penalty * weight` is added to the gradient.
    pub penalty: f64,
    pub nesterov: bool,
}

/// The `steps`-th step of Adam on many tensors; with `decay`, of AdamW.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct FusedAdam {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    /// `penalty * weight` is added to the gradient.
    pub penalty: f64,
    pub decay: f64,
    pub steps: u64,
}

/// The layout that `torch.cpp` has of a branch.
#[repr(C)]
struct RawBranch {
    x: *const c_void,
    scale: *const c_void,
    shift: *const c_void,
    bias: *const c_void,
    mean: *const c_void,
    variance: *const c_void,
}

/// glibc's numbers of what is set here.
const M_TRIM_THRESHOLD: c_int = -1;
const M_MMAP_MAX: c_int = -4;
const NEVER: c_int = -1;

#[expect(unsafe_code, reason = "functions of another language")]
unsafe extern "C" {
    fn packtrain_join_normed(
        branches: *const RawBranch,
        count: usize,
        relu: ReluPlace,
        momentum: f64,
        eps: f64,
        joined: *mut *mut c_void,
    ) -> *mut c_char;
    fn packtrain_max_pool(x: *const c_void, pool: *const MaxPool, pooled: *mut *mut c_void) -> *mut c_char;
    fn packtrain_convolves(bf16: bool) -> bool;
    fn packtrain_pack_kernel(kernel: *const c_void, window: *const Window, x: *const c_void, packed: *mut *mut c_void) -> *mut c_char;
    fn packtrain_convolve(
        x: *const c_void,
        kernel: *const c_void,
        bias: *const c_void,
        window: *const Window,
        relu: bool,
        onto: *const c_void,
        y: *mut *mut c_void,
    ) -> *mut c_char;
    fn packtrain_sgd(
        rule: *const SgdStep,
        weights: *const c_void,
        gradient: *const c_void,
        velocity: *const c_void,
        squares: *mut f64,
    ) -> *mut c_char;
    fn packtrain_adam(
        rule: *const AdamStep,
        weights: *const c_void,
        gradient: *const c_void,
        mean: *const c_void,
        square: *const c_void,
        squares: *mut f64,
    ) -> *mut c_char;
    fn packtrain_fused_sgd(rule: *const FusedSgd, lists: *const *const *const c_void, count: usize) -> *mut c_char;
    fn packtrain_fused_adam(rule: *const FusedAdam, lists: *const *const *const c_void, count: usize) -> *mut c_char;
    fn packtrain_squared_norm(tensors: *const *const c_void, count: usize, sum: *mut *mut c_void) -> *mut c_char;
    fn packtrain_free_message(message: *mut c_char);
    fn mallopt(parameter: c_int, value: c_int) -> c_int;
}

/// Branches side by side along their channels, with ReLU and batch normalisation as in training: by the batch's own statistics, with
/// the running ones brought up to date. On the CPU.
#[expect(unsafe_code, reason = "a function of another language")]
pub fn join_normed(branches: &[Branch<'_>], rule: NormRule) -> Tensor {
    let raw = |branch: &Branch<'_>| {
        let norm = branch.norm.as_ref();
        let of_norm = |tensor: fn(&BranchNorm<'_>) -> *const c_void| norm.map_or(ptr::null(), tensor);
        RawBranch {
            x: pointer(branch.x),
            scale: of_norm(|norm| pointer(norm.scale)),
            shift: of_norm(|norm| pointer(norm.shift)),
            bias: of_norm(|norm| norm.bias.map_or(ptr::null(), pointer)),
            mean: of_norm(|norm| pointer(norm.mean)),
            variance: of_norm(|norm| pointer(norm.variance)),
        }
    };
    let branches: Vec<_> = branches.iter().map(raw).collect();
    made(|joined| {
        // SAFETY: the tensors outlive the call, which keeps references of its own to what it needs later.
        unsafe { packtrain_join_normed(branches.as_ptr(), branches.len(), rule.relu, rule.momentum, rule.eps, joined) }
    })
}

/// Max pooling: `[N,C,H,W]` to `[N,C,H',W']`. On the CPU.
#[expect(unsafe_code, reason = "a function of another language")]
pub fn max_pool(x: &Tensor, pool: MaxPool) -> Tensor {
    made(|pooled| {
        // SAFETY: as above.
        unsafe { packtrain_max_pool(pointer(x), &raw const pool, pooled) }
    })
}

/// Whether this processor and libtorch have what [`pack_kernel`] and [`convolve`] need for numbers of a kind.
pub fn can_convolve(kind: Kind) -> bool {
    #[expect(unsafe_code, reason = "a function of another language")]
    // SAFETY: it takes and gives numbers alone.
    let has = |bf16| unsafe { packtrain_convolves(bf16) };
    matches!(kind, Kind::Float | Kind::BFloat16) && has(kind == Kind::BFloat16)
}

/// A kernel `[out, in, side, side]` in the layout that oneDNN wants for images of the size of `x`; for [`convolve`] alone.
#[expect(unsafe_code, reason = "a function of another language")]
pub fn pack_kernel(kernel: &Tensor, window: Window, x: &Tensor) -> Tensor {
    made(|packed| {
        // SAFETY: as above.
        unsafe { packtrain_pack_kernel(pointer(kernel), &raw const window, pointer(x), packed) }
    })
}

/// A convolution with a packed kernel and a bias, and what follows it, without gradients. On the CPU.
#[expect(unsafe_code, reason = "a function of another language")]
pub fn convolve(x: &Tensor, [kernel, bias]: [&Tensor; 2], window: Window, then: &Then) -> Tensor {
    let onto = if let Then::AddAndRelu(image) = then { pointer(image) } else { ptr::null() };
    let relu = matches!(then, Then::Relu);
    made(|y| {
        // SAFETY: as above.
        unsafe { packtrain_convolve(pointer(x), pointer(kernel), pointer(bias), &raw const window, relu, onto, y) }
    })
}

/// Makes a step on one tensor of fp32 numbers on the CPU, and gives the sum of its squares as they were.
#[expect(unsafe_code, reason = "a function of another language")]
pub fn sgd_step(rule: SgdStep, weights: &Tensor, gradient: &Tensor, velocity: &Tensor) -> f64 {
    let mut squares = 0.0;
    // SAFETY: as above; nothing else reads or writes the tensors meanwhile.
    succeed(unsafe { packtrain_sgd(&raw const rule, pointer(weights), pointer(gradient), pointer(velocity), &raw mut squares) });
    squares
}

/// The same for Adam, with the running means of gradients and of their squares.
#[expect(unsafe_code, reason = "a function of another language")]
pub fn adam_step(rule: AdamStep, weights: &Tensor, gradient: &Tensor, [mean, square]: [&Tensor; 2]) -> f64 {
    let mut squares = 0.0;
    let (weights, gradient, mean, square) = (pointer(weights), pointer(gradient), pointer(mean), pointer(square));
    // SAFETY: as above.
    succeed(unsafe { packtrain_adam(&raw const rule, weights, gradient, mean, square, &raw mut squares) });
    squares
}

/// Makes a step on many tensors at once, on any device: weights, gradients and velocities, as many of each.
#[expect(unsafe_code, reason = "a function of another language")]
pub fn fused_sgd(rule: FusedSgd, lists: [&[&Tensor]; 3]) {
    on_lists(lists, |lists, count| {
        // SAFETY: as for a step on one tensor; `on_lists` gives three lists of `count` tensors.
        unsafe { packtrain_fused_sgd(&raw const rule, lists, count) }
    });
}

/// The same for Adam: weights, gradients, running means of gradients and of their squares.
#[expect(unsafe_code, reason = "a function of another language")]
pub fn fused_adam(rule: FusedAdam, lists: [&[&Tensor]; 4]) {
    on_lists(lists, |lists, count| {
        // SAFETY: as above, with four lists.
        unsafe { packtrain_fused_adam(&raw const rule, lists, count) }
    });
}

/// `sum(w^2)` over all numbers of some tensors, as a scalar on their device, without gradient.
#[expect(unsafe_code, reason = "a function of another language")]
pub fn squared_norm(tensors: &[&Tensor]) -> Tensor {
    let tensors = pointers(tensors);
    made(|sum| {
        // SAFETY: the tensors outlive the call.
        unsafe { packtrain_squared_norm(tensors.as_ptr(), tensors.len(), sum) }
    })
}

/// The numbers of a contiguous fp32 tensor on the CPU, to be written in place.
pub fn numbers_mut(tensor: &mut Tensor) -> &mut [f32] {
    assert!(tensor.is_contiguous() && tensor.kind() == Kind::Float && tensor.device() == Device::Cpu, "{tensor:?}");
    #[expect(unsafe_code, reason = "`tch` only copies into a tensor, from memory that would have to be written first")]
    // SAFETY: the tensor has so many numbers, without gaps, and lives as long as the slice. Whoever has a view of it must not read now.
    unsafe {
        std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel())
    }
}

/// Lets glibc keep memory that is freed. It would give large blocks back to the kernel, which clears every page of them when the next
/// batch takes them again.
pub fn keep_memory() {
    #[expect(unsafe_code, reason = "a function of the C library")]
    // SAFETY: settings of the allocator, which may be changed at any time.
    let kept = unsafe { mallopt(M_MMAP_MAX, 0) == 1 && mallopt(M_TRIM_THRESHOLD, NEVER) == 1 };
    debug_assert!(kept, "glibc knows both");
}

fn pointer(tensor: &Tensor) -> *const c_void {
    tensor.as_ptr().cast()
}

fn pointers(tensors: &[&Tensor]) -> Vec<*const c_void> {
    tensors.iter().map(|tensor| pointer(tensor)).collect()
}

/// Calls a function that takes lists of tensors; without tensors there is nothing to do.
fn on_lists<const N: usize>(lists: [&[&Tensor]; N], call: impl FnOnce(*const *const *const c_void, usize) -> *mut c_char) {
    let count = lists[0].len();
    assert!(lists.iter().all(|list| list.len() == count), "as many tensors in every list");
    if count > 0 {
        let lists = lists.map(pointers);
        let starts = lists.each_ref().map(|list| list.as_ptr());
        succeed(call(starts.as_ptr(), count));
    }
}

/// The tensor that a call makes.
#[expect(unsafe_code, reason = "the tensor is of another language")]
fn made(call: impl FnOnce(*mut *mut c_void) -> *mut c_char) -> Tensor {
    let mut tensor = ptr::null_mut();
    succeed(call(&raw mut tensor));
    // SAFETY: the call succeeded, and has given away the tensor that it made.
    unsafe { Tensor::from_ptr(tensor.cast()) }
}

/// Panics with the message of a call that failed, as functions of `tch` do; the job then fails with it.
#[expect(clippy::panic, reason = "what libtorch cannot do is found out while a network runs; `serve` makes it the job's error")]
fn succeed(message: *mut c_char) {
    if message.is_null() {
        return;
    }
    #[expect(unsafe_code, reason = "a text of another language")]
    // SAFETY: the call made a text, which is copied and then freed once.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        packtrain_free_message(message);
        text
    };
    panic!("libtorch: {text}");
}

#[cfg(test)]
mod tests;
