//! Loading: by `modprobe`, or without.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

use crate::{Compression, Error, ModuleFile, ModuleName, RejectReason, process, tree};

/// How long `modprobe` may take. A module that searches for hardware can take seconds.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// `MODULE_INIT_COMPRESSED_FILE`, since Linux 5.17:
/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/module.h#L8>
const COMPRESSED_FILE: ModuleInitFlags = ModuleInitFlags::from_bits_retain(4);

/// The `modprobe` that the kernel runs itself, or else the first in `PATH` and where administrators'
/// tools are.
pub(crate) fn find_modprobe(root: &Path) -> Result<Option<PathBuf>, Error> {
    let configured = tree::read(&root.join("proc/sys/kernel/modprobe"))?.unwrap_or_default();
    let configured = Some(PathBuf::from(configured.trim_end()));
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    let searched = std::env::split_paths(&path).map(|folder| folder.join("modprobe"));
    Ok(configured
        .into_iter()
        .chain(searched)
        .find(|program| is_program(program)))
}

fn is_program(path: &Path) -> bool {
    path.is_absolute()
        && fs::metadata(path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Has `modprobe` load the module. That it succeeds does not mean that the module is loaded: see
/// modprobe.d(5).
pub(crate) fn modprobe(root: &Path, program: &Path, module: &ModuleName) -> Result<(), Error> {
    let deadline = Instant::now() + TIME_LIMIT;
    let output = process::run(program, &[module.as_str()], || Instant::now() >= deadline)
        .map_err(|source| Error::ModprobeNotRun {
            program: program.to_owned(),
            source,
        })?
        .ok_or_else(|| Error::ModprobeTimeout {
            program: program.to_owned(),
            module: module.clone(),
            limit: TIME_LIMIT,
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(match errno_in(&output.stderr) {
        Some(errno) => rejected(root, module, errno, None)?,
        None => Error::Modprobe {
            program: program.to_owned(),
            module: module.clone(),
            status: output.status,
            stderr: output.stderr,
        },
    })
}

/// Has one run of `modprobe` load several modules, but for those that the administrator keeps from being loaded for the kernel.
/// Which are loaded then is not looked at.
pub(crate) fn modprobe_all(program: &Path, modules: &[&ModuleName]) -> Result<(), Error> {
    let deadline = Instant::now() + TIME_LIMIT;
    // As the kernel asks: quietly, and by the blacklist (modprobe(8)).
    let mut arguments = vec!["-a", "-q", "-b"];
    arguments.extend(modules.iter().map(|module| module.as_str()));
    let output = process::run(program, &arguments, || Instant::now() >= deadline);
    let output = output.map_err(|source| Error::ModprobeNotRun {
        program: program.to_owned(),
        source,
    })?;
    match (output, modules.first()) {
        (None, Some(first)) => Err(Error::ModprobeTimeout {
            program: program.to_owned(),
            module: (*first).clone(),
            limit: TIME_LIMIT,
        }),
        _ => Ok(()),
    }
}

/// The kernel's answer in what `modprobe` printed: `could not insert 'ip_vs': Operation not permitted`
/// (kmod), `can't load module ip_vs (…): Operation not permitted` (busybox).
fn errno_in(stderr: &str) -> Option<Errno> {
    // Texts of kmod itself, see `mod_strerror` in
    // <https://github.com/kmod-project/kmod/blob/v30/tools/insmod.c>.
    let own = [
        ("Invalid module format", Errno::ENOEXEC),
        ("Module has wrong symbol version", Errno::ESRCH),
        (
            "Unknown symbol in module, or unknown parameter (see dmesg)",
            Errno::ENOENT,
        ),
    ];
    let common = [
        Errno::EPERM,
        Errno::ENOEXEC,
        Errno::ENOKEY,
        Errno::EKEYREJECTED,
        Errno::EKEYEXPIRED,
        Errno::EKEYREVOKED,
        Errno::EBADMSG,
        Errno::ENODEV,
    ];
    let texts = common.map(|errno| (errno.desc(), errno));
    let line = stderr
        .lines()
        .find(|line| line.contains("could not insert") || line.contains("can't load module"))?;
    own.into_iter()
        .chain(texts)
        .find_map(|(text, errno)| line.ends_with(text).then_some(errno))
}

/// Gives the file to the kernel, with parameters. A module that is loaded already is a success.
pub(crate) fn insert(root: &Path, file: &ModuleFile, parameters: &str) -> Result<(), Error> {
    // A text has no NUL but where somebody wrote one into a file.
    let parameters = CString::new(parameters.replace('\0', " ")).unwrap_or_default();
    let opened = File::open(&file.path).map_err(|error| Error::read(&file.path, error))?;
    let flags = match file.compression {
        Some(_) => COMPRESSED_FILE,
        None => ModuleInitFlags::empty(),
    };
    match finit_module(&opened, &parameters, flags) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(rejected(root, &file.name, errno, file.compression)?),
    }
}

fn rejected(
    root: &Path,
    module: &ModuleName,
    errno: Errno,
    compression: Option<Compression>,
) -> Result<Error, Error> {
    Ok(Error::Rejected {
        module: module.clone(),
        reason: match errno {
            Errno::EPERM => RejectReason::of_permission(root)?,
            errno => RejectReason::of(errno, compression),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_kernels_answer_is_found_in_what_modprobe_prints() {
        for (stderr, errno) in [
            // kmod 30 on Linux 6.1.176, as user 65534 and with a module whose dependency was not listed.
            (
                "modprobe: ERROR: could not insert 'ip_vs_sh': Operation not permitted",
                Some(Errno::EPERM),
            ),
            (
                "modprobe: ERROR: ../libkmod/libkmod-module.c:191 kmod_module_parse_depline() \
                 ctx=0x552aad72a0 path=/lib/modules/6.1.176/kernel/net/ipv6/ipv6.ko \
                 error=No such file or directory\n\
                 modprobe: ERROR: could not insert 'vrf': Unknown symbol in module, or unknown \
                 parameter (see dmesg)",
                Some(Errno::ENOENT),
            ),
            (
                "modprobe: FATAL: Module nonsense not found in directory /lib/modules/6.1.176",
                None,
            ),
            // Synthetic.
            (
                "modprobe: ERROR: could not insert 'x': Key was rejected by service",
                Some(Errno::EKEYREJECTED),
            ),
            (
                "modprobe: can't load module x (kernel/x.ko.xz): Exec format error",
                Some(Errno::ENOEXEC),
            ),
        ] {
            assert_eq!(errno_in(stderr), errno, "{stderr}");
        }
    }

    #[test]
    fn the_kernels_own_modprobe_is_taken_first() {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("modprobe");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        let setting = root.path().join("proc/sys/kernel");
        fs::create_dir_all(&setting).unwrap();
        fs::write(setting.join("modprobe"), format!("{}\n", program.display())).unwrap();
        // Not a program yet.
        assert_ne!(find_modprobe(root.path()).unwrap(), Some(program.clone()));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_modprobe(root.path()).unwrap(), Some(program));
    }

    /// Stands in for kmod's. Another process writes it: ours would be open, and so not to be run, in what a test beside this one
    /// starts at that moment.
    fn script(folder: &Path, text: &str) -> PathBuf {
        let program = folder.join("modprobe");
        let write = "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let written = Command::new("sh")
            .args(["-c", write])
            .arg(&program)
            .arg(text)
            .status();
        assert!(written.unwrap().success());
        program
    }

    #[test]
    fn modprobe_is_called_once_for_many() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let log = folder.join("log");
        let program = script(folder, &format!("echo \"$*\" >> {}; exit 1", log.display()));
        let names = ["ip_vs_rr", "xt_set"].map(|name| name.parse().unwrap());
        // It succeeds even though modprobe fails because a module is missing.
        modprobe_all(&program, &names.each_ref()).unwrap();
        let called = fs::read_to_string(&log).unwrap();
        assert_eq!(called, "-a -q -b ip_vs_rr xt_set\n");
        let missing = modprobe_all(&folder.join("none"), &names.each_ref()).unwrap_err();
        assert!(matches!(missing, Error::ModprobeNotRun { .. }));
    }

    #[test]
    fn modprobe_is_called_with_the_name_and_its_failures_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let name = "ip_vs_rr".parse().unwrap();
        let call = |text: &str| modprobe(folder, &script(folder, text), &name);
        assert!(call("test \"$*\" = ip_vs_rr").is_ok());
        let Err(Error::Modprobe { status, stderr, .. }) = call("echo odd >&2; exit 3") else {
            panic!("not modprobe's own failure");
        };
        assert_eq!((status.code(), stderr.as_str()), (Some(3), "odd"));
        let text = "echo \"could not insert 'ip_vs_rr': Key was rejected by service\" >&2; exit 1";
        let Err(Error::Rejected { reason, .. }) = call(text) else {
            panic!("not the kernel's answer");
        };
        assert_eq!(reason, RejectReason::Signature);
        let missing = modprobe(folder, &folder.join("none"), &name).unwrap_err();
        assert!(matches!(missing, Error::ModprobeNotRun { .. }));
    }
}
