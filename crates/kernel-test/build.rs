//! Compiles what the guests need: `shim/ptrace.rs`, the library that lets User Mode Linux boot on
//! processors with AMX, and `shim/init.rs`, the first program of the QEMU guest.

use std::env;
use std::io::{Error, Result};
use std::path::Path;
use std::process::Command;

fn main() -> Result<()> {
    build("ptrace", "libptrace.so", &["--crate-type=cdylib"])?;
    build("init", "init", &["-Ctarget-feature=+crt-static"])
}

fn build(name: &str, file: &str, options: &[&str]) -> Result<()> {
    let source = format!("shim/{name}.rs");
    println!("cargo::rerun-if-changed={source}");
    let variable = |name: &str| env::var(name).map_err(Error::other);
    let file = Path::new(&variable("OUT_DIR")?).join(file);
    let target = variable("TARGET")?;
    if !target.starts_with("x86_64-") || !target.contains("-linux-") {
        // The guests are x86-64; elsewhere the empty file is never used.
        return std::fs::write(file, []);
    }
    let status = Command::new(variable("RUSTC")?)
        .args(["--edition=2024", "--crate-name", name])
        .args(options)
        .args(["-Copt-level=2", "-Cpanic=abort", "-Cstrip=symbols"])
        .args(["--target", &target, "-o"])
        .arg(&file)
        .arg(&source)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::other(format!("compiling {source}: {status}")))
    }
}
