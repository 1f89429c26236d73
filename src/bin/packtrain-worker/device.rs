//! Where networks run. The program links the CPU part of libtorch alone; the CUDA part is opened here, at run time, where it is
//! installed and there is a driver for it, and set to compute the same bits every time.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{c_int, c_void};
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use packtrain::stage::{Device, StageError};
use tch::Tensor;

/// The variable that names the folder with `libtorch_cuda.so`.
const CUDA_FOLDER_VARIABLE: &str = "PACKTRAIN_CUDA_LIB";
const CUDA_LIBRARY: &str = "libtorch_cuda.so";
/// Brought by the graphics driver; without it there is no card to use, and half a second of loading is saved.
const DRIVER_LIBRARY: &str = "libcuda.so.1";

// libtorch's settings that `tch` does not reach: two setters of the C++ class `at::Context`, and the function that returns its only
// object, by their names in libtorch_cpu.so.
#[expect(unsafe_code, reason = "functions of another language")]
unsafe extern "C" {
    #[link_name = "_ZN2at13globalContextEv"]
    fn global_context() -> *mut c_void;
    #[link_name = "_ZN2at7Context21setDeterministicCuDNNEb"]
    fn set_deterministic_cudnn(context: *mut c_void, deterministic: bool);
    #[link_name = "_ZN2at7Context17setAllowTF32CuDNNEb"]
    fn set_allow_tf32_cudnn(context: *mut c_void, allow: bool);
}

/// The device to use: for `auto` a card where one can be used, else the CPU; for `cuda` an error if it cannot be used.
pub fn choose(device: Device) -> Result<tch::Device, StageError> {
    match device {
        Device::Cpu => Ok(tch::Device::Cpu),
        Device::Auto => Ok(if cards().is_ok_and(|count| count > 0) { tch::Device::Cuda(0) } else { tch::Device::Cpu }),
        Device::Cuda(index) => match cards() {
            Ok(count) if index < count => Ok(tch::Device::Cuda(index)),
            Ok(count) => Err(StageError::Invalid(format!("there is no device {device}: CUDA sees {count} cards"))),
            Err(reason) => Err(StageError::Invalid(format!("the device {device} cannot be used: {reason}"))),
        },
    }
}

/// The names of all devices, as in a manifest.
pub fn available() -> Vec<String> {
    let cards = (0..cards().unwrap_or(0)).map(|index| format!("cuda:{index}"));
    std::iter::once("cpu".to_owned()).chain(cards).collect()
}

/// The device's name.
pub fn name(device: tch::Device) -> String {
    match device {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// Memory of a card that nobody uses, in bytes; 0 if that cannot be told.
pub fn free_memory(device: tch::Device) -> u64 {
    let tch::Device::Cuda(index) = device else { return 0 };
    let (mut free, mut total) = (0, 0);
    #[expect(unsafe_code, reason = "functions of another language, of a library that was opened at run time")]
    // SAFETY: the signatures are those of CUDA's runtime, which is open for good since there are cards; the thread's card is put back.
    let told = unsafe {
        let program = Library::this();
        let (Ok(get_device), Ok(set_device), Ok(memory)) = (
            program.get::<unsafe extern "C" fn(*mut c_int) -> c_int>(b"cudaGetDevice"),
            program.get::<unsafe extern "C" fn(c_int) -> c_int>(b"cudaSetDevice"),
            program.get::<unsafe extern "C" fn(*mut usize, *mut usize) -> c_int>(b"cudaMemGetInfo"),
        ) else {
            return 0;
        };
        let mut before = 0;
        get_device(&raw mut before) == 0
            && set_device(index as c_int) == 0
            && memory(&raw mut free, &raw mut total) == 0
            && set_device(before) == 0
    };
    if told { free as u64 } else { 0 }
}

/// A tensor of the CPU on the device, where work goes on meanwhile: from ordinary memory a copy would wait until all of it is done.
pub fn bring(tensor: &Tensor, device: tch::Device) -> Tensor {
    if !device.is_cuda() {
        return tensor.shallow_clone();
    }
    // libtorch gives this memory to nobody else before the copy is done.
    tensor.pin_memory(device).to_device_(device, tensor.kind(), true, false)
}

/// What decides the last bits of what a network gives: libtorch's version, and the processor that it chooses its algorithms for. On
/// the CPU that is the model with its widest vectors, and the number of threads, among which long sums are divided; on a card its
/// model. Which of several equal cards it is does not matter, nor which machine. `None` if the processor has no known name.
pub fn arithmetic(device: tch::Device) -> Option<String> {
    let processor = match device {
        tch::Device::Cuda(index) => card(index)?,
        _ => format!("{} with {} threads", cpu()?, tch::get_num_threads()),
    };
    Some(format!("libtorch {} on {processor}", env!("PACKTRAIN_LIBTORCH_VERSION")))
}

/// The model of the CPU, such as `AMD EPYC 9554 64-Core Processor 25 17 avx512f`: name, family, model, widest vectors.
fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |names: [&str; 2]| {
        let fields = text.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim()));
        fields.into_iter().find(|(name, _)| names.contains(name)).map(|(_, value)| value)
    };
    // ARM tells numbers of the design. The names of virtual CPUs say too little, so that numbers follow them.
    let design = [field(["model name", "CPU implementer"])?, field(["cpu family", "CPU architecture"])?, field(["model", "CPU part"])?];
    let has = |vectors: &&str| field(["flags", "Features"]).is_some_and(|flags| flags.split_whitespace().any(|flag| flag == *vectors));
    let widest = ["avx512f", "avx2", "avx", "sve", "asimd"].iter().find(|vectors| has(vectors)).copied().unwrap_or("no vectors");
    Some(format!("{} {widest}", design.join(" ")))
}

/// The model of a card, as the driver tells. Where cards differ, which one it is too: the driver lists them in another order than
/// CUDA does.
fn card(index: usize) -> Option<String> {
    let folders = fs::read_dir("/proc/driver/nvidia/gpus").ok()?.filter_map(Result::ok);
    let texts = folders.filter_map(|folder| fs::read_to_string(folder.path().join("information")).ok());
    let model = |text: String| Some(text.lines().find_map(|line| line.strip_prefix("Model:"))?.trim().to_owned());
    let models: BTreeSet<String> = texts.filter_map(model).collect();
    match models.len() {
        0 => None,
        1 => models.into_iter().next(),
        _ => Some(format!("cuda:{index} of {}", models.into_iter().collect::<Vec<_>>().join(", "))),
    }
}

/// How many cards there are, or why there can be none. The CUDA part must be open before libtorch is asked for the first time.
fn cards() -> Result<usize, String> {
    static OPENED: OnceLock<Result<(), String>> = OnceLock::new();
    OPENED.get_or_init(open_cuda).clone()?;
    Ok(usize::try_from(tch::Cuda::device_count()).unwrap_or(0))
}

fn open_cuda() -> Result<(), String> {
    open(DRIVER_LIBRARY.into()).map_err(|_| "there is no CUDA driver on this machine".to_owned())?;
    let found = cuda_folders().into_iter().map(|folder| folder.join(CUDA_LIBRARY)).find(|library| library.exists());
    open(found.ok_or_else(|| {
        format!("{CUDA_LIBRARY} is not installed; `make setup CUDA=1` brings it, or set {CUDA_FOLDER_VARIABLE} to its folder")
    })?)?;
    compute_repeatably_in_fp32();
    Ok(())
}

/// cuDNN would choose convolutions that add in the order in which threads finish, so that a training that is resumed would not give
/// the bits of one that is not; and it would round the factors of an fp32 convolution to TF32's 10 bits. libtorch multiplies matrices
/// in full fp32 of itself, and its own kernels for the layers of our networks add in a fixed order; what cuBLAS needs for that is in
/// the environment that the coordinator gives to this process.
fn compute_repeatably_in_fp32() {
    #[expect(unsafe_code, reason = "functions of another language")]
    // SAFETY: the names bind exactly these signatures in libtorch, a member function takes its object first, and the object lives as
    // long as the process; the setters store a flag each.
    unsafe {
        let context = global_context();
        set_deterministic_cudnn(context, true);
        set_allow_tf32_cudnn(context, false);
    }
}

/// Opens a library for the rest of the process, with its symbols visible to all others.
fn open(path: PathBuf) -> Result<(), String> {
    #[expect(unsafe_code, reason = "opening a library runs its code")]
    // SAFETY: the constructors of libtorch and of the driver may run at any time, and they are never unloaded.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) };
    std::mem::forget(library.map_err(|error| error.to_string())?);
    Ok(())
}

/// Where `libtorch_cuda.so` may be, the most explicit place first.
#[expect(clippy::disallowed_methods, reason = "the worker has no command line; these variables are this module's")]
fn cuda_folders() -> Vec<PathBuf> {
    let beside_program = env::current_exe().ok().and_then(|program| Some(program.parent()?.join("lib")));
    let named = env::var_os(CUDA_FOLDER_VARIABLE).map(PathBuf::from);
    let libtorch = env::var_os("LIBTORCH").map(|folder| PathBuf::from(folder).join("lib"));
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".deps/cuda/torch/lib");
    named.into_iter().chain(beside_program).chain([project]).chain(libtorch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_auto_always_finds_a_device() {
        assert_eq!(choose(Device::Cpu).unwrap(), tch::Device::Cpu);
        let chosen = name(choose(Device::Auto).unwrap());
        assert!(available().contains(&chosen));
    }

    #[test]
    fn the_arithmetic_of_the_cpu_is_known() {
        let arithmetic = arithmetic(tch::Device::Cpu).unwrap();
        assert!(arithmetic.starts_with("libtorch 2.11.0 on ") && arithmetic.ends_with(" threads"), "{arithmetic}");
    }

    #[test]
    fn computing_repeatably_sets_what_libtorch_reads() {
        #[expect(unsafe_code, reason = "functions of another language")]
        unsafe extern "C" {
            #[link_name = "_ZNK2at7Context18deterministicCuDNNEv"]
            fn deterministic_cudnn(context: *const c_void) -> bool;
            /// The second argument is a `std::optional` of a four-byte enum, here without a value.
            #[link_name = "_ZNK2at7Context14allowTF32CuDNNESt8optionalINS_9Float32OpEE"]
            fn allow_tf32_cudnn(context: *const c_void, operation: u64) -> bool;
        }
        compute_repeatably_in_fp32();
        #[expect(unsafe_code, reason = "functions of another language")]
        // SAFETY: as for the setters.
        let (deterministic, tf32) = unsafe { (deterministic_cudnn(global_context()), allow_tf32_cudnn(global_context(), 0)) };
        assert!(deterministic && !tf32);
    }

    #[test]
    fn a_card_that_is_not_there_is_an_error_that_says_so() {
        let message = choose(Device::Cuda(4_000)).unwrap_err().to_string();
        assert!(message.contains("cuda:4000"), "{message}");
    }
}
