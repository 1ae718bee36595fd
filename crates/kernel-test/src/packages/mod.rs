//! Finding the guest kernel and the reference tools, and getting what is missing.
//!
//! In this order: what is installed; as root, what `apt-get install` can do about it; otherwise the
//! packages' files, downloaded and unpacked in cargo's target folder, for the guest alone.

mod apt;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::unistd::geteuid;

use crate::error::{Doing as _, Error, say};
use crate::guest::GuestKernel;
use crate::process::path_with_sbin;

/// Debian packages that kernel tests use.
pub(crate) const ALL: &str =
    "user-mode-linux ipset ipvsadm iptables iproute2 netbase kmod conntrack nftables strace";

/// The guest kernel's package.
const GUEST: &str = "user-mode-linux";

/// A program of each of the other packages, or a file.
const TOOLS: [(&str, &str); 9] = [
    ("ipset", "ipset"),
    ("ipvsadm", "ipvsadm"),
    ("iptables", "iptables-legacy"),
    ("iproute2", "ip"),
    ("netbase", "/etc/protocols"),
    ("kmod", "modprobe"),
    ("conntrack", "conntrack"),
    ("nftables", "nft"),
    ("strace", "strace"),
];

/// The guest kernel, with the tools that this machine lacks, if they can be had.
///
/// # Errors
/// [`Error::NoGuestKernel`] if there is none and it cannot be had.
pub(crate) fn guest_kernel() -> Result<GuestKernel, Error> {
    let installed = || find(Path::new("/"));
    let mut missing = missing_tools();
    if installed().is_none() {
        missing.push(GUEST);
    }
    if missing.is_empty()
        && let Some(kernel) = installed()
    {
        return Ok(kernel);
    }

    let cache = cache_folder();
    let _lock = lock(&cache)?;
    let mut tried = vec!["there is no linux.uml".to_owned()];
    if geteuid().is_root() {
        match apt::install(&missing) {
            Ok(()) => missing.retain(|package| !is_installed(package)),
            Err(why) => tried.push(why),
        }
    }
    let mut layer = None;
    if !missing.is_empty() {
        match apt::unpack(&missing, &cache) {
            Ok(folder) => layer = Some(folder),
            Err(why) => tried.push(why),
        }
    }
    let kernel = installed().or_else(|| find(layer.as_deref()?));
    match kernel {
        Some(kernel) => {
            if layer.is_none() && !missing.is_empty() {
                say(format!(
                    "{} missing: {}",
                    missing.join(", "),
                    tried.join("; ")
                ));
            }
            Ok(GuestKernel { layer, ..kernel })
        }
        None => Err(Error::NoGuestKernel {
            what: tried.join("; "),
        }),
    }
}

/// As root, installs the tools that this machine lacks; done once.
pub(crate) fn install_tools() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let missing = missing_tools();
        if missing.is_empty() || !geteuid().is_root() {
            return;
        }
        let lock = lock(&cache_folder());
        if let Err(why) = lock
            .map_err(|error| error.to_string())
            .and_then(|_lock| apt::install(&missing))
        {
            say(format!("{} missing: {why}", missing.join(", ")));
        }
    });
}

fn missing_tools() -> Vec<&'static str> {
    let packages = TOOLS.iter().map(|(package, _)| *package);
    packages.filter(|package| !is_installed(package)).collect()
}

fn is_installed(package: &str) -> bool {
    if package == GUEST {
        return find(Path::new("/")).is_some();
    }
    let path = path_with_sbin();
    TOOLS
        .iter()
        .filter(|(of, _)| *of == package)
        // Joining an absolute path gives that path.
        .all(|(_, file)| std::env::split_paths(&path).any(|folder| folder.join(file).exists()))
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

fn cache_folder() -> PathBuf {
    target_folder()
        .unwrap_or_else(std::env::temp_dir)
        .join("kernel-test")
}

/// Keeps other test binaries from getting the same packages at the same time.
fn lock(cache: &Path) -> Result<fs::File, Error> {
    let path = cache.join("lock");
    fs::create_dir_all(cache).at("creating", cache)?;
    let file = fs::File::create(&path).at("creating", &path)?;
    file.lock().at("locking", &path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cmd;

    #[test]
    fn a_kernel_is_found_with_its_own_modules() {
        let root = tempfile::tempdir().unwrap();
        assert!(find(root.path()).is_none());
        let program = root.path().join("usr/bin/linux.uml");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        // Written by another process: while a test beside this one forks, ours might be held open.
        cmd(&format!(
            "printf '#!/bin/sh\\necho 6.1.0-test\\n' >{0} && chmod +x {0}",
            program.display()
        ));
        let modules = root.path().join("usr/lib/uml/modules");
        fs::create_dir_all(modules.join("6.1.9")).unwrap();
        assert!(find(root.path()).is_none(), "modules of another kernel");
        fs::create_dir_all(modules.join("6.1.0-test")).unwrap();
        let found = find(root.path()).unwrap();
        assert_eq!(found.program, program);
        assert_eq!(found.modules, modules.join("6.1.0-test"));
    }

    #[test]
    fn every_package_has_its_mark() {
        let packages: Vec<_> = ALL.split(' ').collect();
        let marked = TOOLS.iter().map(|(package, _)| *package);
        let marked: Vec<_> = std::iter::once(GUEST).chain(marked).collect();
        assert_eq!(packages, marked);
    }
}
