//! The guest's file tree: this machine's, under a layer that takes all writes.
//!
//! The guest's root file system (hostfs, or 9p, read-only) *is* this machine's file tree, and with hostfs
//! root in the guest may write wherever this user may. An overlay with its writable layer in memory keeps tests from that, and makes
//! room for `/lib/modules/RELEASE`, which this machine lacks.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::utsname::uname;
use nix::unistd::{chdir, pivot_root};

use super::job::Job;
use super::qemu::KEPT;
use crate::error::{Context as _, Error};
use crate::namespace::mount_one;

/// Mounts everything, moves into it, and returns the job found in the folder.
pub(super) fn mount_all(folder: &Path) -> Result<Job, Error> {
    let file = folder.join("job");
    let bytes = fs::read(&file).at("reading", &file)?;
    let job = Job::decode(&bytes)
        .ok_or_else(|| std::io::Error::other("not a job"))
        .at("reading", &file)?;
    load_overlay(&job.modules)?;
    move_into_overlay(&job, &folder.join("tree"))?;
    mount_system()?;
    link_modules(&job.modules)?;
    Ok(job)
}

/// Debian's kernel has the overlay file system as a module, and `modprobe` cannot find any yet.
fn load_overlay(modules: &Path) -> Result<(), Error> {
    let list = modules.join("modules.dep");
    let dependencies = fs::read_to_string(&list).at("reading", &list)?;
    let Some(name) = dependencies
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .find(|name| name.contains("/overlay.ko"))
    else {
        return Ok(()); // built in; otherwise mounting fails
    };
    let path = modules.join(name);
    let file = File::open(&path).at("opening", &path)?;
    let flags = if name.ends_with(".ko") {
        ModuleInitFlags::empty()
    } else {
        // MODULE_INIT_COMPRESSED_FILE, Linux 5.17, which the `nix` crate lacks:
        // <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/module.h#L8>
        ModuleInitFlags::from_bits_retain(4)
    };
    match finit_module(&file, c"", flags) {
        Err(Errno::EEXIST) => Ok(()),
        result => result.at("loading", &path),
    }
}

fn move_into_overlay(job: &Job, tree: &Path) -> Result<(), Error> {
    mount_one("tmpfs", tree, Some("tmpfs"), MsFlags::empty()).at("mounting", tree)?;
    let [upper, work, root] = ["upper", "work", "root"].map(|name| tree.join(name));
    for folder in [&upper, &work, &root] {
        fs::create_dir(folder).at("creating", folder)?;
    }
    let options = format!(
        "lowerdir=/,upperdir={},workdir={}",
        escaped(&upper),
        escaped(&work)
    );
    mount(
        Some("overlay"),
        &root,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .at("mounting an overlay on", &root)?;

    let old = root.join(".machine");
    fs::create_dir(&old).at("creating", &old)?;
    pivot_root(&root, &old).at("moving the root to", &root)?;
    chdir("/").at("moving to", Path::new("/"))?;
    let old = Path::new("/.machine");
    if let Some(kept) = &job.kept {
        let bound = old.join(kept.strip_prefix("/").unwrap_or(kept));
        let (source, kind, flags, options) = if job.is_emulated {
            let options = "trans=virtio,version=9p2000.L,msize=524288,cache=loose";
            (Path::new(KEPT), Some("9p"), MsFlags::empty(), Some(options))
        } else {
            (bound.as_path(), None, MsFlags::MS_BIND, None)
        };
        mount(Some(source), kept, kind, flags, options).at("mounting", kept)?;
    }
    umount2(old, MntFlags::MNT_DETACH).at("unmounting", old)?;
    fs::remove_dir(old).at("removing", old)
}

/// A path, escaped for the options of an overlay.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for c in path.to_string_lossy().chars() {
        if matches!(c, '\\' | ':' | ',') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

fn mount_system() -> Result<(), Error> {
    let none = MsFlags::empty();
    for (kind, target) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("devpts", "/dev/pts"),
        ("tmpfs", "/dev/shm"),
        ("tmpfs", "/run"),
    ] {
        let target = Path::new(target);
        fs::create_dir_all(target).at("creating", target)?;
        mount_one(kind, target, Some(kind), none).at("mounting", target)?;
    }
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, link).at("linking", Path::new(link))?;
    }
    Ok(())
}

/// Puts the guest kernel's modules where everything looks for them.
fn link_modules(modules: &Path) -> Result<(), Error> {
    let release = uname().context(|| "reading the kernel's release".to_owned())?;
    let link = PathBuf::from("/lib/modules").join(release.release());
    if let Some(parent) = link.parent() {
        fs::create_dir_all(parent).at("creating", parent)?;
    }
    if link.exists() {
        return Ok(());
    }
    symlink(modules, &link).at("linking", &link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_an_overlay_are_escaped() {
        assert_eq!(escaped(Path::new("/a:b,c\\d e")), r"/a\:b\,c\\d e");
    }
}
