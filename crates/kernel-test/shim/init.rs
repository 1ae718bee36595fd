//! The first program of the QEMU guest, alone in its initial file system: loads the modules that reach
//! this machine's file tree, moves there, and becomes the test binary.
//!
//! It is linked statically, because no library can be loaded yet. The kernel passes it the variable
//! `KERNEL_TEST_JOB`, the folder of the guest's configuration, which the test binary reads; that
//! binary's name in the folder is `init`.
#![deny(unsafe_op_in_unsafe_fn)]

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_long, c_ulong, c_void};
use std::fs::{File, create_dir, read_to_string};
use std::io::{Error, Result};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::null;
use std::{env, thread, time::Duration};

/// The modules to load, in order, one path on each line.
const ORDER: &str = "/modules/order";
/// The options of the file tree. This machine's files change little while the guest runs.
const OPTIONS: &CStr = c"trans=virtio,version=9p2000.L,msize=524288,cache=loose";

const MS_RDONLY: c_ulong = 1;
const MS_MOVE: c_ulong = 8192;
const SYS_FINIT_MODULE: c_long = 313;
/// Linux 5.17.
const MODULE_INIT_COMPRESSED_FILE: c_int = 4;

unsafe extern "C" {
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn chroot(path: *const c_char) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

fn main() {
    let error = match run() {
        Ok(never) => match never {},
        Err(error) => error,
    };
    eprintln!("kernel-test: {error}");
    // The kernel panics when its first process ends. Until then the console is read.
    thread::sleep(Duration::from_millis(100));
}

enum Never {}

fn run() -> Result<Never> {
    for module in read_to_string(ORDER)?.lines() {
        load(Path::new(module)).map_err(|error| named(&format!("loading {module}"), error))?;
    }
    create_dir("/machine")?;
    mounted(c"root", c"/machine", c"9p", MS_RDONLY, Some(OPTIONS))
        .map_err(|error| named("mounting this machine's file tree", error))?;
    env::set_current_dir("/machine")?;
    mounted(c".", c"/", c"", MS_MOVE, None).map_err(|error| named("moving the root", error))?;
    // SAFETY: the path is a string that ends with a NUL.
    result(unsafe { chroot(c".".as_ptr()) })?;
    env::set_current_dir("/")?;
    let folder: OsString = env::var_os("KERNEL_TEST_JOB").unwrap_or_default();
    let program = PathBuf::from(folder).join("init");
    let error = Command::new(&program).exec();
    Err(named(&format!("starting {}", program.display()), error))
}

fn load(module: &Path) -> Result<()> {
    let file = File::open(module)?;
    let is_plain = module.extension().is_some_and(|extension| extension == "ko");
    let flags = if is_plain { 0 } else { MODULE_INIT_COMPRESSED_FILE };
    // SAFETY: finit_module takes a file, a string that ends with a NUL, and flags.
    let status = unsafe { syscall(SYS_FINIT_MODULE, file.as_raw_fd(), c"".as_ptr(), flags) };
    result(status.try_into().unwrap_or(-1))
}

fn mounted(
    source: &CStr,
    target: &CStr,
    kind: &CStr,
    flags: c_ulong,
    options: Option<&CStr>,
) -> Result<()> {
    let options = options.map(CString::from);
    let data = options.as_ref().map_or(null(), |options| options.as_ptr());
    // SAFETY: all are strings that end with a NUL and live until the call returns, or null.
    result(unsafe {
        mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            data.cast(),
        )
    })
}

fn result(status: c_int) -> Result<()> {
    if status < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

fn named(what: &str, error: Error) -> Error {
    Error::other(format!("{what}: {error}"))
}
