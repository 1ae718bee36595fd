//! The Debian packages that kernel tests use: which of them this machine lacks, and where the guest kernel is.
//!
//! Nothing is ever installed from here. A test that lacks a package fails with the line that installs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::guest::{GuestKernel, Machine};
use crate::process::path_with_sbin;

/// A Debian package, and a program or file of its own that shows that it is installed.
type Package = (&'static str, &'static str);

/// The guest kernel.
const GUEST: Package = ("user-mode-linux", "linux.uml");

/// The emulator for Debian's kernel.
const QEMU: Package = ("qemu-system-x86", "qemu-system-x86_64");

/// Debian's kernel. To install it would take an initial file system and a boot loader's files too;
/// [`UNPACK`] does without.
const KERNEL: &str = "linux-image-amd64";

/// The command, from the repository's root, that unpacks Debian's kernel below cargo's target folder.
const UNPACK: &str = ".ci/debian-kernel";

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
    let installed: Vec<_> = packages.iter().filter(|name| **name != KERNEL).collect();
    let mut commands = Vec::new();
    if !installed.is_empty() {
        let names = installed
            .iter()
            .fold(String::new(), |names, name| format!("{names} {name}"));
        commands.push(format!("apt-get install --no-install-recommends{names}"));
    }
    if installed.len() < packages.len() {
        commands.push(UNPACK.to_owned());
    }
    commands.join(" && ")
}

/// The command that installs every package that kernel tests use.
pub(crate) fn install_all() -> String {
    let names: Vec<&str> = all().map(|(name, _)| *name).collect();
    install_line(&names)
}

fn all() -> impl Iterator<Item = &'static Package> {
    std::iter::once(&GUEST).chain(&TOOLS).chain([&QEMU])
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

/// Finds Debian's kernel and QEMU, and checks that this machine has the tools too.
///
/// # Errors
/// [`Error::MissingPackages`] names the packages it lacks.
pub(crate) fn debian_kernel() -> Result<GuestKernel, Error> {
    let folders = search_path();
    let mut missing = missing(std::iter::once(&QEMU).chain(&TOOLS), &folders);
    let kept = target_folder();
    let places = kept.iter().map(|target| target.join("debian-kernel"));
    let found = places
        .chain([PathBuf::from("/")])
        .find_map(|root| find_debian(&root));
    let program = folders
        .iter()
        .map(|folder| folder.join(QEMU.1))
        .find(|program| program.exists());
    match (found, program) {
        (Some((image, modules)), Some(program)) => error_if_any(missing).map(|()| GuestKernel {
            program,
            machine: Machine::Qemu { image },
            modules,
            kept,
        }),
        (found, _) => {
            if found.is_none() {
                missing.push(KERNEL);
            }
            Err(Error::MissingPackages { packages: missing })
        }
    }
}

/// The newest kernel below this folder that has modules for a 9p file tree: its image and the folder
/// that holds its `modules.dep`.
fn find_debian(root: &Path) -> Option<(PathBuf, PathBuf)> {
    let images = fs::read_dir(root.join("boot")).ok()?;
    let mut found: Vec<_> = images
        .filter_map(|entry| {
            let image = entry.ok()?.path();
            let name = image.file_name()?.to_str()?;
            let release = name.strip_prefix("vmlinuz-")?;
            let modules = root.join("lib/modules").join(release);
            let has_9p =
                modules.join("modules.dep").exists() && modules.join("kernel/net/9p").is_dir();
            has_9p.then_some((image, modules))
        })
        .collect();
    found.sort();
    found.pop()
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
        machine: Machine::UserMode,
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
    use crate::command::script;

    #[test]
    fn a_kernel_is_found_with_its_own_modules() {
        let root = tempfile::tempdir().unwrap();
        assert!(find(root.path()).is_none());
        let program = root.path().join("usr/bin/linux.uml");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        script(&program, "echo 6.1.0-test\n");
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

    #[test]
    fn a_debian_kernel_is_found_with_its_modules() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(find_debian(root), None);
        fs::create_dir(root.join("boot")).unwrap();
        for release in ["6.1.0-1-amd64", "6.1.0-2-amd64", "6.1.0-3-cloud-amd64"] {
            fs::write(
                root.join("boot/vmlinuz-").to_string_lossy().into_owned() + release,
                "",
            )
            .unwrap();
        }
        assert_eq!(find_debian(root), None, "without modules");
        let modules = root.join("lib/modules/6.1.0-1-amd64");
        fs::create_dir_all(modules.join("kernel/net/9p")).unwrap();
        // As Debian's kernel for clouds is.
        let cloud = root.join("lib/modules/6.1.0-3-cloud-amd64");
        fs::create_dir_all(&cloud).unwrap();
        fs::write(cloud.join("modules.dep"), "").unwrap();
        assert_eq!(find_debian(root), None, "without modules.dep, without 9p");
        fs::write(modules.join("modules.dep"), "").unwrap();
        let image = root.join("boot/vmlinuz-6.1.0-1-amd64");
        assert_eq!(find_debian(root), Some((image, modules)));
    }

    #[test]
    fn a_missing_debian_kernel_is_unpacked() {
        assert_eq!(install_line(&[KERNEL]), ".ci/debian-kernel");
        assert_eq!(
            install_line(&["qemu-system-x86", "strace", KERNEL]),
            "apt-get install --no-install-recommends qemu-system-x86 strace && .ci/debian-kernel"
        );
        let readme = include_str!("../../../README.md");
        assert!(readme.lines().any(|line| line == UNPACK));
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(UNPACK);
        assert!(script.exists());
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
