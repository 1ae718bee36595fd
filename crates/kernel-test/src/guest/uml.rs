//! The command that runs User Mode Linux.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{GuestKernel, JOB, memory};
use crate::link;

/// Replaces `ptrace` in the guest kernel: see `shim/ptrace.rs`.
pub(super) static SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libptrace.so"));

/// The guest kernel's command. Our pipes become its file descriptors 3 and 4, which are its second
/// console. Our stderr pipe holds its first console and what it prints itself.
pub(super) fn command(
    kernel: &GuestKernel,
    folder: &Path,
    memory: u64,
    room: u64,
    is_linked: bool,
) -> Command {
    let in_folder = |name: &str| folder.join(name).display().to_string();
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >&2"#])
        .arg(&kernel.program)
        .args(["rootfstype=hostfs", "rootflags=/", "rw", "quiet"])
        .args(["con=null", "con0=null,fd:2", "con1=fd:3,fd:4"])
        .arg(format!("mem={memory}M"))
        .arg(format!("init={}", in_folder("init")))
        .arg(format!("uml_dir={}/", in_folder("uml")))
        .arg(format!("{JOB}={}", folder.display()))
        .args(is_linked.then(link::argument))
        .env("TMPDIR", memory::folder(room, folder))
        .env("LD_PRELOAD", folder.join("libptrace.so"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
