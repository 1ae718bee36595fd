//! Finding the guest kernel and the reference tools, and getting what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::guest::GuestKernel;

/// Debian packages that kernel tests use.
pub(crate) const ALL: &str = "user-mode-linux ipset ipvsadm iptables iproute2 netbase kmod";

/// The guest kernel.
///
/// # Errors
/// [`Error::NoGuestKernel`] if there is none and it cannot be had.
pub(crate) fn guest_kernel() -> Result<GuestKernel, Error> {
    find(Path::new("/")).ok_or_else(|| Error::NoGuestKernel {
        what: "there is no linux.uml".to_owned(),
    })
}

/// A guest kernel below this folder, laid out as Debian's package.
fn find(root: &Path) -> Option<GuestKernel> {
    let program = root.join("usr/bin/linux.uml");
    let modules = root.join("usr/lib/uml/modules").join(release(&program)?);
    modules.is_dir().then(|| GuestKernel {
        program,
        modules,
        layer: None,
        kept: target_folder(),
    })
}

/// What the kernel calls itself: `linux.uml --version` prints its release.
fn release(program: &Path) -> Option<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// Cargo's target folder, which holds this program, if cargo built it.
fn target_folder() -> Option<PathBuf> {
    let program = fs::canonicalize(std::env::current_exe().ok()?).ok()?;
    program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .map(Path::to_owned)
}
