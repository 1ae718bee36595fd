//! The guest: this test binary, inside User Mode Linux.
//!
//! [`Guest`] is this machine's side. It boots the kernel with this program as its first process
//! ([`init`]), sends names of tests on the guest's second console and reads [`frame`]s from it. The
//! first console belongs to the kernel; its last lines explain a crash.

mod frame;
mod init;
mod job;
mod memory;
mod tree;

use std::fs;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::error::{Context as _, Error, print_notice};
use crate::process::path_with_sbin;
use crate::report::{self, Outcome};
use frame::Frame;
use job::Job;

pub(crate) use init::run_if_init;
pub(crate) use memory::MEBIBYTES;

/// Environment (of the guest's first process): the folder of the [`Job`].
const JOB: &str = "KERNEL_TEST_JOB";

/// A boot takes two seconds, on a busy machine ten.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
const HALT_LIMIT: Duration = Duration::from_secs(5);
/// How much of the console is kept, in bytes.
const CONSOLE: usize = 4096;

/// A guest kernel's files.
#[derive(Clone, Debug)]
pub(crate) struct GuestKernel {
    /// `linux.uml`.
    pub(crate) program: PathBuf,
    /// The folder that holds its `modules.dep`.
    pub(crate) modules: PathBuf,
    /// A folder in which the guest's writes are kept.
    pub(crate) kept: Option<PathBuf>,
}

/// A booted guest; halted when dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    kernel: Child,
    names: Option<ChildStdin>,
    frames: Receiver<io::Result<Frame>>,
    console: Arc<Mutex<Vec<u8>>>,
    usable: bool,
    _folder: TempDir,
}

impl Guest {
    /// Boots a guest with `memory` MiB, where all guests together may take `room` MiB. Returns when it is ready for tests.
    pub(crate) fn boot(kernel: &GuestKernel, memory: u64, room: u64) -> Result<Self, Error> {
        let folder = job_folder(kernel)?;
        let mut child = command(kernel, folder.path(), memory, room)
            .spawn()
            .at("starting", &kernel.program)?;
        let (sender, frames) = channel();
        let console = Arc::default();
        if let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            thread::spawn(move || {
                loop {
                    let frame = Frame::read(&mut stdout);
                    let last = frame.is_err();
                    if sender.send(frame).is_err() || last {
                        break;
                    }
                }
            });
            let console = Arc::clone(&console);
            thread::spawn(move || keep_tail(stderr, &console));
        }
        let mut guest = Self {
            names: child.stdin.take(),
            kernel: child,
            frames,
            console,
            usable: true,
            _folder: folder,
        };
        match guest.next(Instant::now().checked_add(BOOT_LIMIT)) {
            Ok(Frame::Ready(release)) => {
                print_notice(format!("tests run in a guest, User Mode Linux {release}"));
                Ok(guest)
            }
            Ok(Frame::Fatal(why)) => Err(guest.failure(&format!("did not come up: {why}"))),
            Ok(_) => Err(guest.failure("sent an unexpected message")),
            Err(Error::TimeLimit { seconds }) => {
                Err(guest.failure(&format!("did not come up in {seconds} s")))
            }
            Err(error) => Err(error),
        }
    }

    /// Runs a test in the guest and prints the test's output.
    pub(crate) fn run(&mut self, name: &str, limit: Duration) -> Result<Outcome, Error> {
        let until = Instant::now().checked_add(limit);
        if let Some(names) = &mut self.names
            && let Err(error) = writeln!(names, "{name}").and_then(|()| names.flush())
        {
            return Err(self.failure(&format!("is gone ({error})")));
        }
        loop {
            match self.next(until) {
                Ok(Frame::Stdout(bytes)) => forward(&mut io::stdout(), &bytes),
                Ok(Frame::Stderr(bytes)) => forward(&mut io::stderr(), &bytes),
                Ok(Frame::Report(bytes)) => {
                    let outcome = report::decode(&bytes);
                    return outcome.ok_or_else(|| self.failure("sent an unreadable report"));
                }
                Ok(Frame::NoReport(status)) => return Err(Error::NoResult { status }),
                Ok(Frame::Fatal(why)) => return Err(self.failure(&format!("gave up: {why}"))),
                Ok(Frame::Ready(_)) => return Err(self.failure("sent an unexpected message")),
                Err(Error::TimeLimit { .. }) => {
                    self.usable = false;
                    let seconds = limit.as_secs();
                    return Err(Error::TimeLimit { seconds });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether it can run another test.
    pub(crate) fn is_usable(&self) -> bool {
        self.usable
    }

    fn next(&mut self, until: Option<Instant>) -> Result<Frame, Error> {
        let left = until.map_or(Duration::MAX, |until| {
            until.saturating_duration_since(Instant::now())
        });
        match self.frames.recv_timeout(left) {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.failure("stopped"))
            }
            Ok(Err(error)) => Err(self.failure(&format!("sent an unreadable message: {error}"))),
            Err(RecvTimeoutError::Disconnected) => Err(self.failure("is gone")),
            Err(RecvTimeoutError::Timeout) => Err(Error::TimeLimit {
                seconds: BOOT_LIMIT.as_secs(),
            }),
        }
    }

    /// Stops the guest and returns the error that explains why.
    fn failure(&mut self, what: &str) -> Error {
        self.usable = false;
        self.kill();
        // The console's reader may be a moment behind.
        thread::sleep(Duration::from_millis(50));
        let console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        Error::Guest {
            what: what.to_owned(),
            console: String::from_utf8_lossy(&console).replace('\r', ""),
        }
    }

    fn kill(&mut self) {
        // The group holds the guest's processes, each of which is a process of this machine.
        if let Ok(group) = i32::try_from(self.kernel.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.kernel.wait();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // At the end of its input, the guest writes back what it holds and halts.
        drop(self.names.take());
        let until = Instant::now() + HALT_LIMIT;
        while self.usable && Instant::now() < until {
            if !matches!(self.kernel.try_wait(), Ok(None)) {
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.kill();
    }
}

fn job_folder(kernel: &GuestKernel) -> Result<TempDir, Error> {
    let context = || "making a folder for the guest".to_owned();
    // The path goes into the kernel's command line, which cannot hold a space.
    let parent = std::env::temp_dir();
    let spaced = parent.to_string_lossy().contains(char::is_whitespace);
    let parent = if spaced { Path::new("/tmp") } else { &parent };
    let folder = tempfile::Builder::new()
        .prefix("kernel-test-")
        .tempdir_in(parent)
        .context(context)?;
    let path = folder.path();
    let program = std::env::current_exe().context(|| "finding this program".to_owned())?;
    let mut environment: Vec<_> = std::env::vars_os()
        .filter(|(name, _)| name != "PATH" && name != "TMPDIR")
        .collect();
    environment.push(("PATH".into(), path_with_sbin()));
    let job = Job {
        arguments: std::env::args_os().skip(1).collect(),
        folder: std::env::current_dir().context(|| "finding the working folder".to_owned())?,
        environment,
        modules: kernel.modules.clone(),
        kept: kernel.kept.clone(),
        program: program.clone(),
    };
    fs::write(path.join("job"), job.encode()).context(context)?;
    fs::write(path.join("libptrace.so"), SHIM).context(context)?;
    fs::create_dir(path.join("tree")).context(context)?;
    symlink(program, path.join("init")).context(context)?;
    Ok(folder)
}

/// Replaces `ptrace` in the guest kernel: see `shim/ptrace.rs`.
static SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libptrace.so"));

/// The guest kernel's command. Our pipes become its file descriptors 3 and 4, which are its second
/// console. Our stderr pipe holds its first console and what it prints itself.
fn command(kernel: &GuestKernel, folder: &Path, memory: u64, room: u64) -> Command {
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
        .env("TMPDIR", memory::folder(room, folder))
        .env("LD_PRELOAD", folder.join("libptrace.so"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command
}

fn keep_tail(mut console: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = console.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(buffer.get(..read).unwrap_or_default());
        let surplus = kept.len().saturating_sub(CONSOLE);
        kept.drain(..surplus);
    }
}

fn forward(to: &mut impl io::Write, bytes: &[u8]) {
    // Unlike `print!`, a closed pipe is no reason to panic.
    let _ = to.write_all(bytes).and_then(|()| to.flush());
}
