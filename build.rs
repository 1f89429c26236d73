//! Lets the worker find libtorch when it runs: in the folder that it was linked against, or in `lib` beside itself.
//!
//! Only the worker gets these search paths; the coordinator does not load libtorch.

#![expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    if env::var_os("CARGO_FEATURE_TORCH").is_none() {
        return;
    }
    let libtorch = env::var_os("LIBTORCH").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps/libtorch"), PathBuf::from);
    for folder in [&libtorch.join("lib"), Path::new("$ORIGIN/lib")] {
        println!("cargo::rustc-link-arg-bin=packtrain-worker=-Wl,-rpath,{}", folder.display());
    }
    println!("cargo::rustc-env=PACKTRAIN_LIBTORCH_VERSION={}", version(&libtorch));
}

/// The version that libtorch's headers name.
fn version(libtorch: &Path) -> String {
    let header = libtorch.join("include/torch/headeronly/version.h");
    println!("cargo::rerun-if-changed={}", header.display());
    let text = fs::read_to_string(&header).unwrap_or_default();
    let quoted = text.split_once("#define TORCH_VERSION \\").and_then(|(_, rest)| rest.split('"').nth(1));
    quoted.unwrap_or("unknown").to_owned()
}
