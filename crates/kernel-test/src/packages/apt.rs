//! Debian's `apt-get`: as root to install packages, as anybody to download and unpack them.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::say;

/// Failures are texts: they end up in the one message that says all that was tried.
type Result<T> = std::result::Result<T, String>;

/// Installs packages. Needs root; changes the machine, and says so.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    say(format!("installing {}", packages.join(" ")));
    let apt = Apt::default();
    let install = || {
        apt.run(
            &["-y", "--no-install-recommends", "install"],
            packages,
            None,
        )
    };
    // A fresh machine has no package lists, and old lists name packages that are gone.
    install().or_else(|_| {
        apt.run(&["update"], &[], None)?;
        install()
    })?;
    Ok(())
}

/// Unpacks packages, with those they depend on and this machine lacks, in a folder below `cache`, and
/// gives it. Needs no root.
pub(super) fn unpack(packages: &[&str], cache: &Path) -> Result<PathBuf> {
    let root = cache.join(packages.join("+"));
    if root.is_dir() {
        return Ok(root);
    }
    say(format!(
        "fetching {} into {}",
        packages.join(" "),
        root.display()
    ));
    // Made under another name, so that a broken-off one is not taken for whole.
    let part =
        tempfile::tempdir_in(cache).map_err(|error| format!("no temporary folder: {error}"))?;
    let files = download(packages, part.path())?;
    let unpacked = part.path().join("root");
    for file in files {
        run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&unpacked))?;
    }
    finish(&unpacked).map_err(|error| format!("arranging files: {error}"))?;
    fs::rename(&unpacked, &root).map_err(|error| format!("keeping files: {error}"))?;
    Ok(root)
}

/// Downloads packages and what they depend on; gives the files.
fn download(packages: &[&str], folder: &Path) -> Result<Vec<PathBuf>> {
    let mut apt = Apt::default();
    let simulate = |apt: &Apt| {
        let simulate = ["--simulate", "--no-install-recommends", "install"];
        apt.run(&simulate, packages, None)
    };
    let plan = match simulate(&apt) {
        Ok(plan) => plan,
        Err(_) => {
            // Without package lists, and without the right to get them: with lists of our own.
            apt = Apt::with_lists_in(&folder.join("apt")).map_err(|error| error.to_string())?;
            apt.run(&["update"], &[], None)?;
            simulate(&apt)?
        }
    };
    let files = folder.join("files");
    fs::create_dir(&files).map_err(|error| error.to_string())?;
    apt.run(&["download"], &to_install(&plan), Some(&files))?;
    let list = fs::read_dir(&files).map_err(|error| error.to_string())?;
    Ok(list.filter_map(|file| Some(file.ok()?.path())).collect())
}

/// The packages that a simulation would install: its lines `Inst NAME (VERSION …)`.
fn to_install(plan: &str) -> Vec<&str> {
    plan.lines()
        .filter_map(|line| line.strip_prefix("Inst "))
        .filter_map(|rest| rest.split(' ').next())
        .collect()
}

/// What installing would have done beyond unpacking, as far as tests need it.
fn finish(root: &Path) -> io::Result<()> {
    // Packages still have files in /sbin, which is a link to /usr/sbin.
    for name in ["bin", "sbin", "lib", "lib64"] {
        if root.join(name).is_dir() {
            merge(&root.join(name), &root.join("usr").join(name))?;
        }
    }
    // `iptables` is a choice of the administrator's; the guest has the legacy one.
    let legacy = "xtables-legacy-multi";
    let sbin = root.join("usr/sbin");
    if sbin.join(legacy).exists() {
        for family in ["iptables", "ip6tables"] {
            for rest in ["", "-save", "-restore"] {
                symlink(legacy, sbin.join(format!("{family}{rest}")))?;
            }
        }
    }
    Ok(())
}

/// Moves everything in a folder to another, into folders that are there already.
fn merge(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            merge(&entry.path(), &target)?;
        } else {
            fs::rename(entry.path(), target)?;
        }
    }
    fs::remove_dir(from)
}

/// `apt-get` with some options.
#[derive(Debug, Default)]
struct Apt {
    options: Vec<String>,
}

impl Apt {
    /// One that keeps its package lists in this folder, and so can be updated by anybody.
    fn with_lists_in(folder: &Path) -> io::Result<Self> {
        for name in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let folder = folder.display();
        Ok(Self {
            options: vec![
                format!("-oDir::State::lists={folder}/lists"),
                format!("-oDir::Cache={folder}"),
                "-oDebug::NoLocking=1".to_owned(),
            ],
        })
    }

    /// Runs it; gives its stdout.
    fn run(&self, arguments: &[&str], packages: &[&str], folder: Option<&Path>) -> Result<String> {
        let mut command = Command::new("apt-get");
        command
            .args(["-q", "-oAcquire::Retries=1", "-oAcquire::http::Timeout=20"])
            .args(&self.options)
            .args(arguments)
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive");
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        run(&mut command)
    }
}

fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.lines().rfind(|line| line.starts_with("E: "));
    let why = last.unwrap_or("no reason given").trim_start_matches("E: ");
    Err(format!("{name} failed: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by `apt-get -q --simulate --no-install-recommends install ipvsadm`, apt 2.6.1, Debian 12.
    const PLAN: &str = "\
Reading package lists...
Building dependency tree...
Reading state information...
The following additional packages will be installed:
  libnl-3-200 libnl-genl-3-200
Suggested packages:
  heartbeat keepalived ldirectord
The following NEW packages will be installed:
  ipvsadm libnl-3-200 libnl-genl-3-200
0 upgraded, 3 newly installed, 0 to remove and 0 not upgraded.
Inst libnl-3-200 (3.7.0-0.2+b1 Debian:12.15/oldstable [amd64])
Inst libnl-genl-3-200 (3.7.0-0.2+b1 Debian:12.15/oldstable [amd64])
Inst ipvsadm (1:1.31-1+b1 Debian:12.15/oldstable [amd64])
Conf libnl-3-200 (3.7.0-0.2+b1 Debian:12.15/oldstable [amd64])
Conf libnl-genl-3-200 (3.7.0-0.2+b1 Debian:12.15/oldstable [amd64])
Conf ipvsadm (1:1.31-1+b1 Debian:12.15/oldstable [amd64])
";

    #[test]
    fn reads_what_a_simulation_would_install() {
        assert_eq!(
            to_install(PLAN),
            ["libnl-3-200", "libnl-genl-3-200", "ipvsadm"]
        );
    }

    #[test]
    fn files_move_below_usr() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for file in ["sbin/ipset", "usr/sbin/xtables-legacy-multi", "lib/a/b.so"] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        finish(root).unwrap();
        assert!(!root.join("sbin").exists() && !root.join("lib").exists());
        for file in ["sbin/ipset", "sbin/ip6tables-restore", "lib/a/b.so"] {
            assert!(root.join("usr").join(file).exists(), "{file}");
        }
    }

    #[test]
    fn failures_name_the_reason() {
        let why = run(Command::new("sh").args(["-c", "echo 'E: no lists' >&2; exit 100"]));
        assert_eq!(why, Err("sh failed: no lists".to_owned()));
        let why = run(&mut Command::new("no-such-program")).unwrap_err();
        assert!(why.starts_with("no-such-program cannot be run: "), "{why}");
    }
}
