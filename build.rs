//! Compiles the worker's C++, and lets the worker find libtorch when it runs: in the folder that it was linked against, or in `lib`
//! beside itself.
//!
//! Only the worker gets either; the coordinator does not load libtorch.

#![expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    if env::var_os("CARGO_FEATURE_TORCH").is_none() {
        return Ok(());
    }
    let libtorch = env::var_os("LIBTORCH").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps/libtorch"), PathBuf::from);
    for folder in [&libtorch.join("lib"), Path::new("$ORIGIN/lib")] {
        println!("cargo::rustc-link-arg-bin=packtrain-worker=-Wl,-rpath,{}", folder.display());
    }
    println!("cargo::rustc-env=PACKTRAIN_LIBTORCH_VERSION={}", version(&libtorch));
    #[cfg(feature = "torch")]
    for object in kernels::compile(&libtorch)? {
        println!("cargo::rustc-link-arg-bin=packtrain-worker={}", object.display());
    }
    // What `at::parallel_for` is made of; libtorch loads it anyway.
    println!("cargo::rustc-link-arg-bin=packtrain-worker=-lgomp");
    Ok(())
}

/// The worker's C++. It is handed to the linker as object files, so that the coordinator gets nothing of it.
#[cfg(feature = "torch")]
mod kernels {
    use std::env;
    use std::io;
    use std::path::{Path, PathBuf};

    use cc::Build;

    const FOLDER: &str = "src/bin/packtrain-worker/kernels";

    /// Generations of x86-64 that the loops are compiled for; which of them is used is found out when the worker runs.
    const LEVELS: [(&str, &str); 3] = [("base", "x86-64"), ("avx2", "x86-64-v3"), ("avx512", "x86-64-v4")];

    /// Sums may be made in the order that vectors suit. What is not a number stays so.
    const FAST: [&str; 4] = ["-fno-math-errno", "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math"];

    pub fn compile(libtorch: &Path) -> io::Result<Vec<PathBuf>> {
        println!("cargo::rerun-if-changed={FOLDER}");
        let x86 = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|name| name == "x86_64");
        let levels = if x86 { &LEVELS[..] } else { &LEVELS[..1] };
        let mut objects = Vec::new();
        for (name, processor) in levels {
            objects.extend(level(name, processor, x86)?);
        }
        objects.extend(build().file(format!("{FOLDER}/levels.cpp")).compile_intermediates());
        let headers = libtorch.join("include");
        let torch = [headers.join("torch/csrc/api/include"), headers];
        let mut with_torch = build();
        torch.iter().for_each(|folder| {
            with_torch.flag("-isystem").flag(folder);
        });
        objects.extend(with_torch.flag("-fopenmp").file(format!("{FOLDER}/torch.cpp")).compile_intermediates());
        Ok(objects)
    }

    /// The loops for one generation, at full speed whatever the profile: tests train networks with them.
    fn level(name: &str, processor: &str, x86: bool) -> io::Result<Vec<PathBuf>> {
        let mut build = build();
        build.opt_level(3).flags(FAST).define("PACKTRAIN_LEVEL", name);
        if x86 {
            build.flag(format!("-march={processor}")).flag_if_supported("-mprefer-vector-width=512");
        }
        let file = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join(format!("loops_{name}.cpp"));
        // Objects are named after their sources, which must therefore differ.
        let text = format!("#include \"{}/{FOLDER}/loops.cpp\"\n", env!("CARGO_MANIFEST_DIR"));
        if std::fs::read_to_string(&file).ok().as_ref() != Some(&text) {
            std::fs::write(&file, text)?;
        }
        Ok(build.file(file).compile_intermediates())
    }

    fn build() -> Build {
        let mut build = Build::new();
        build.cpp(true).std("c++17").debug(false).opt_level(2).cargo_metadata(false);
        build
    }
}

/// The version that libtorch's headers name.
fn version(libtorch: &Path) -> String {
    let header = libtorch.join("include/torch/headeronly/version.h");
    println!("cargo::rerun-if-changed={}", header.display());
    let text = fs::read_to_string(&header).unwrap_or_default();
    let quoted = text.split_once("#define TORCH_VERSION \\").and_then(|(_, rest)| rest.split('"').nth(1));
    quoted.unwrap_or("unknown").to_owned()
}
