//! The Debian packages that kernel tests use: which of them this machine lacks, and where the guest kernel is.
//!
//! Nothing is ever installed from here. A test that lacks a package fails with the line that installs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::guest::GuestKernel;
use crate::process::path_with_sbin;

/// A Debian package, and a program or file of its own that shows that it is installed.
type Package = (&'static str, &'static str);

/// The guest kernel.
const GUEST: Package = ("user-mode-linux", "linux.uml");

/// The tools that tests compare with.
const TOOLS: [Package; 9] = [
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

/// The command that installs packages, for messages.
pub(crate) fn install_line(packages: &[&str]) -> String {
    format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

/// The command that installs every package that kernel tests use.
pub(crate) fn install_all() -> String {
    let names: Vec<&str> = all().map(|(name, _)| *name).collect();
    install_line(&names)
}

fn all() -> impl Iterator<Item = &'static Package> {
    std::iter::once(&GUEST).chain(&TOOLS)
}

/// Checks that this machine has the tools.
///
/// # Errors
/// [`Error::MissingPackages`] names those it lacks.
pub(crate) fn check_tools() -> Result<(), Error> {
    let missing = missing(TOOLS.iter(), &search_path());
    error_if_any(missing)
}

/// Finds the guest kernel, and checks that this machine has the tools too.
///
/// # Errors
/// [`Error::MissingPackages`] names the packages it lacks.
pub(crate) fn guest_kernel() -> Result<GuestKernel, Error> {
    let mut missing = missing(TOOLS.iter(), &search_path());
    match find(Path::new("/")) {
        Some(kernel) => error_if_any(missing).map(|()| kernel),
        None => {
            missing.insert(0, GUEST.0);
            Err(Error::MissingPackages { packages: missing })
        }
    }
}

fn error_if_any(packages: Vec<&'static str>) -> Result<(), Error> {
    if packages.is_empty() {
        Ok(())
    } else {
        Err(Error::MissingPackages { packages })
    }
}

fn search_path() -> Vec<PathBuf> {
    std::env::split_paths(&path_with_sbin()).collect()
}

/// The packages whose file is in none of these folders.
fn missing<'a>(
    packages: impl Iterator<Item = &'a Package>,
    folders: &[PathBuf],
) -> Vec<&'static str> {
    // Joining an absolute path gives that path.
    let is_installed = |file: &str| folders.iter().any(|folder| folder.join(file).exists());
    packages
        .filter(|(_, file)| !is_installed(file))
        .map(|(name, _)| *name)
        .collect()
}

/// The guest kernel below this folder, laid out as in Debian's package.
fn find(root: &Path) -> Option<GuestKernel> {
    let program = root.join("usr/bin").join(GUEST.1);
    let modules = root.join("usr/lib/uml/modules").join(release(&program)?);
    modules.is_dir().then(|| GuestKernel {
        program,
        modules,
        kept: target_folder(),
    })
}

/// The kernel's release, which `linux.uml --version` prints.
fn release(program: &Path) -> Option<String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// Cargo's target folder, which holds this program if cargo built it.
fn target_folder() -> Option<PathBuf> {
    let program = fs::canonicalize(std::env::current_exe().ok()?).ok()?;
    program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .map(Path::to_owned)
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
    fn a_package_is_missing_if_no_folder_holds_its_file() {
        let root = tempfile::tempdir().unwrap();
        let (bin, sbin) = (root.path().join("bin"), root.path().join("sbin"));
        let file = root.path().join("protocols");
        let packages: [Package; 3] = [
            ("iproute2", "ip"),
            ("ipset", "ipset"),
            ("netbase", file.to_str().unwrap().to_owned().leak()),
        ];
        let folders = [bin.clone(), sbin.clone()];
        let missing = || missing(packages.iter(), &folders);
        assert_eq!(missing(), ["iproute2", "ipset", "netbase"]);
        for folder in [&bin, &sbin] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(sbin.join("ipset"), "").unwrap();
        fs::write(file, "").unwrap();
        assert_eq!(missing(), ["iproute2"]);
        fs::write(bin.join("ip"), "").unwrap();
        assert_eq!(missing(), [""; 0]);
    }

    #[test]
    fn the_error_holds_the_line_that_installs() {
        assert!(error_if_any(Vec::new()).is_ok());
        let error = error_if_any(vec!["ipset", "strace"]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`apt-get install --no-install-recommends ipset strace`"),
            "{text}"
        );
    }

    /// Whoever copies the commands of README.md has all packages.
    #[test]
    fn the_readme_installs_every_package() {
        let readme = include_str!("../../../README.md");
        let line = readme
            .lines()
            .find(|line| line.contains("apt-get install") && line.contains(GUEST.0))
            .unwrap();
        let words: Vec<_> = line.split(' ').collect();
        for (package, _) in all() {
            assert!(words.contains(package), "no {package} in {line:?}");
        }
    }
}
