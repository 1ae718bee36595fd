//! Compiles `shim/ptrace.rs`, the library that lets User Mode Linux boot on processors with AMX.

use std::env;
use std::io::{Error, Result};
use std::path::Path;
use std::process::Command;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=shim/ptrace.rs");
    let variable = |name: &str| env::var(name).map_err(Error::other);
    let shim = Path::new(&variable("OUT_DIR")?).join("libptrace.so");
    let target = variable("TARGET")?;
    if !target.starts_with("x86_64-") || !target.contains("-linux-") {
        // User Mode Linux exists for x86 only; elsewhere the empty file is never used.
        return std::fs::write(shim, []);
    }
    let status = Command::new(variable("RUSTC")?)
        .args([
            "--edition=2024",
            "--crate-name=ptrace",
            "--crate-type=cdylib",
        ])
        .args(["-Copt-level=2", "-Cpanic=abort", "-Cstrip=symbols"])
        .args(["--target", &target, "-o"])
        .arg(&shim)
        .arg("shim/ptrace.rs")
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::other(format!("compiling shim/ptrace.rs: {status}")))
    }
}
