//! Which program links libtorch: loading it takes a quarter of a second, which the coordinator is not to pay.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use object::Endianness;
use object::elf::{DT_NEEDED, FileHeader64};
use object::read::elf::{Dyn, FileHeader};

#[test]
fn the_coordinator_needs_no_libtorch() {
    let libraries = needed(env!("CARGO_BIN_EXE_packtrain"));
    assert!(libraries.iter().any(|library| library.starts_with("libc.so")), "{libraries:?}");
    let torch: Vec<_> = libraries.iter().filter(|library| library.contains("torch") || library.contains("libc10")).collect();
    assert!(torch.is_empty(), "{torch:?}");
}

#[cfg(feature = "torch")]
#[test]
fn the_worker_needs_the_cpu_part_of_libtorch_alone() {
    let libraries = needed(env!("CARGO_BIN_EXE_packtrain-worker"));
    assert!(libraries.iter().any(|library| library == "libtorch_cpu.so"), "{libraries:?}");
    assert!(!libraries.iter().any(|library| library.contains("cuda")), "{libraries:?}");
}

/// The shared libraries that a program cannot start without, from its dynamic section.
fn needed(program: &str) -> Vec<String> {
    let data = std::fs::read(program).unwrap();
    let header = FileHeader64::<Endianness>::parse(&*data).unwrap();
    let endian = header.endian().unwrap();
    let sections = header.sections(endian, &*data).unwrap();
    let (entries, strings) = sections.dynamic(endian, &*data).unwrap().unwrap();
    let strings = sections.strings(endian, &*data, strings).unwrap();
    let needed = entries.iter().filter(|entry| entry.tag32(endian) == Some(DT_NEEDED));
    needed.map(|entry| String::from_utf8(entry.string(endian, strings).unwrap().to_vec()).unwrap()).collect()
}
