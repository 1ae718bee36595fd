//! The command that runs Debian's kernel in QEMU, and the kernel's initial file system.
//!
//! QEMU emulates two processors, or one whose instructions are the guest's clock. Its virtio serial port is the connection to the harness, over the same
//! pipes as in User Mode Linux; its serial line is the kernel's console. This machine's file tree is a
//! 9p file system, read-only; the folder in which writes are kept is another one.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cpio::Archive;
use super::{Clock, GuestKernel, JOB};

/// The name of the virtio serial port.
const PORT: &str = "kernel-test";
/// The name of the 9p file system in which writes are kept.
pub(super) const KEPT: &str = "kept";

/// The first program: see `shim/init.rs`.
static INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// What the initial file system must load to reach the file tree and the harness.
const MODULES: [&str; 5] = [
    "virtio_pci",
    "9pnet_virtio",
    "9p",
    "virtio_console",
    "overlay",
];

/// QEMU's command for this image of a kernel.
pub(super) fn command(
    kernel: &GuestKernel,
    image: &Path,
    folder: &Path,
    memory: u64,
    clock: Clock,
) -> Command {
    let mut command = Command::new(&kernel.program);
    command
        .args(["-no-user-config", "-nodefaults", "-no-reboot"])
        .args(["-display", "none", "-monitor", "none"])
        .args(["-M", "q35", "-cpu", "max", "-m", &memory.to_string()])
        .args(processors(clock))
        .args(["-chardev", "stdio,id=tests,signal=off"])
        .args(["-device", "virtio-serial-pci"])
        .arg("-device")
        .arg(format!("virtserialport,chardev=tests,name={PORT}"))
        .args(["-chardev", "file,id=console,path=/proc/self/fd/2"])
        .args(["-serial", "chardev:console"])
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(folder.join("initrd"))
        .arg("-append")
        .arg(format!(
            "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check random.trust_cpu=on cryptomgr.notests {JOB}={}",
            folder.display()
        ));
    share(
        &mut command,
        "root",
        Path::new("/"),
        ",readonly=on,multidevs=remap",
    );
    if let Some(kept) = &kernel.kept {
        share(&mut command, KEPT, kept, "");
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Two processors, each a thread of QEMU; but one where instructions are counted.
const fn processors(clock: Clock) -> &'static [&'static str] {
    match clock {
        Clock::Time => &["-accel", "tcg,thread=multi", "-smp", "2"],
        Clock::Instructions => &[
            "-accel",
            "tcg,thread=single",
            "-smp",
            "1",
            "-icount",
            "shift=0,sleep=off",
        ],
    }
}

/// Offers a folder of this machine to the guest.
fn share(command: &mut Command, name: &str, folder: &Path, options: &str) {
    // In QEMU's options a comma is written twice.
    let path = folder.display().to_string().replace(',', ",,");
    command
        .arg("-fsdev")
        .arg(format!(
            "local,id={name},path={path},security_model=none{options}"
        ))
        .arg("-device")
        .arg(format!("virtio-9p-pci,fsdev={name},mount_tag={name}"));
}

/// The initial file system of a kernel with these modules.
///
/// # Errors
/// A module or the list of modules cannot be read, or is missing from the list.
pub(super) fn initial_file_system(modules: &Path) -> io::Result<Vec<u8>> {
    let list = fs::read_to_string(modules.join("modules.dep"))?;
    let mut archive = Archive::default();
    for folder in ["dev", "modules"] {
        archive.folder(folder);
    }
    archive.device("dev/console", 5, 1);
    archive.file("init", INIT);
    let mut order = String::new();
    for path in load_order(&list, &MODULES)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("modules/{name}");
        archive.file(&name, &fs::read(modules.join(&path))?);
        order = format!("{order}/{name}\n");
    }
    archive.file("modules/order", order.as_bytes());
    Ok(archive.finish())
}

/// The files of these modules and of those they depend on, in the order in which they can be loaded.
/// What `modules.dep` does not list is built in.
fn load_order(list: &str, names: &[&str]) -> io::Result<Vec<PathBuf>> {
    let lines: Vec<_> = list
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    for name in names {
        let is_it = |path: &str| {
            let file = path.rsplit('/').next().unwrap_or_default();
            let stem = file.split('.').next().unwrap_or_default();
            stem.replace('-', "_") == *name
        };
        let Some((path, dependencies)) = lines.iter().find(|(path, _)| is_it(path)) else {
            continue;
        };
        // Each module's line names all it depends on, each before those it depends on itself.
        let dependencies = dependencies.split_whitespace().rev();
        for path in dependencies.chain([*path]) {
            if seen.insert(path) {
                order.push(PathBuf::from(path));
            }
        }
    }
    if order.is_empty() {
        return Err(io::Error::other("modules.dep lists none of the modules"));
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Debian's 6.1.0-56-amd64.
    const LIST: &str = "\
kernel/fs/9p/9p.ko: kernel/fs/fscache/fscache.ko kernel/fs/netfs/netfs.ko kernel/net/9p/9pnet.ko
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio.ko
kernel/lib/crc-itu-t.ko.xz:
";

    #[test]
    fn modules_come_after_those_they_depend_on() {
        let order = load_order(LIST, &["built_in", "9pnet_virtio", "9p", "crc_itu_t"]).unwrap();
        let order: Vec<_> = order.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(
            order,
            [
                "kernel/drivers/virtio/virtio.ko",
                "kernel/net/9p/9pnet.ko",
                "kernel/net/9p/9pnet_virtio.ko",
                "kernel/fs/netfs/netfs.ko",
                "kernel/fs/fscache/fscache.ko",
                "kernel/fs/9p/9p.ko",
                "kernel/lib/crc-itu-t.ko.xz",
            ]
        );
        assert!(load_order(LIST, &["built_in"]).is_err());
    }

    #[test]
    fn commas_in_paths_are_written_twice() {
        let mut command = Command::new("qemu");
        share(&mut command, "a", Path::new("/b,c"), "");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments[1], "local,id=a,path=/b,,c,security_model=none");
    }
}
