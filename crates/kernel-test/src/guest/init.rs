//! The guest's first process: prepares the guest, then runs one test after the other.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::libc::O_NOCTTY;
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{SetArg, cfmakeraw, tcdrain, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, sync};

use super::frame::Frame;
use super::job::Job;
use super::{JOB, tree};
use crate::error::{Context as _, Error, print_notice};
use crate::{machine, netns, process};

/// The modules that are loaded at boot. The others load on demand, quickly; all at once would take
/// seconds. `ipv6` comes first, because `ip_vs` checks whether it is loaded.
const MODULES: [&str; 4] = ["ipv6", "ip_vs", "dummy", "veth"];

/// On an emulated machine those that most tests need as well: on demand, they would take a good part of
/// the time that tools and programs give the kernel.
const MORE_MODULES: [&str; 20] = [
    "nf_tables",
    "nft_compat",
    "nft_chain_nat",
    "nf_conntrack_netlink",
    "xt_set",
    "xt_comment",
    "xt_mark",
    "xt_addrtype",
    "xt_conntrack",
    "xt_tcpudp",
    "xt_MASQUERADE",
    "ipt_REJECT",
    "ip6t_REJECT",
    "ip_set_hash_ip",
    "ip_set_hash_net",
    "ip_set_hash_ipport",
    "ip_set_hash_ipportip",
    "ip_set_hash_ipportnet",
    "ip_set_bitmap_port",
    "ip_vs_rr",
];

/// Where a test's process leaves its report.
const REPORT: &str = "/dev/shm/kernel-test-report";

/// If this is the guest's first process, does its work and never returns.
pub(crate) fn run_if_init() {
    if getpid().as_raw() != 1 {
        return;
    }
    let Some(folder) = std::env::var_os(JOB) else {
        return;
    };
    if let Err(error) = serve(Path::new(&folder)) {
        print_notice(error);
    }
    halt();
}

fn halt() -> ! {
    sync();
    loop {
        let Err(error) = reboot(RebootMode::RB_POWER_OFF);
        print_notice(format!("halting: {error}"));
        thread::sleep(Duration::from_secs(1));
    }
}

fn serve(folder: &Path) -> Result<(), Error> {
    let job = tree::mount_all(folder)?;
    let (channel, names) = connect(&job)?;
    match prepare(&job) {
        Ok(release) => channel.send(&Frame::Ready(release))?,
        Err(error) => return channel.send(&Frame::Fatal(error.to_string())),
    }
    for name in names {
        let last = match run(&job, &name, &channel) {
            Ok(last) => last,
            Err(error) => Frame::Fatal(error.to_string()),
        };
        channel.send(&last)?;
    }
    Ok(())
}

fn prepare(job: &Job) -> Result<String, Error> {
    let loaded = Command::new("modprobe")
        .arg("-a")
        .args(MODULES)
        .args(MORE_MODULES.iter().filter(|_| job.is_emulated))
        .envs(job.variables())
        .output()
        .context(|| "starting modprobe (package kmod)".to_owned())?;
    if !loaded.status.success() {
        let why = String::from_utf8_lossy(&loaded.stderr).into_owned();
        return Err(std::io::Error::other(why)).context(|| "loading modules".to_owned());
    }
    netns::lo_up()?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")
        .context(|| "reading the kernel's release".to_owned())?;
    Ok(release.trim_end().to_owned())
}

/// The connection to the harness.
#[derive(Debug)]
struct Channel {
    file: Mutex<File>,
    /// A terminal, which passes on what is written only some time later.
    is_terminal: bool,
}

/// Opens the connection: frames out, names of tests in. When the harness closes its end, the guest
/// halts.
fn connect(job: &Job) -> Result<(Channel, Receiver<String>), Error> {
    let path = if job.is_emulated {
        serial_port()?
    } else {
        PathBuf::from("/dev/tty1")
    };
    let context = || format!("opening the connection to the harness, {}", path.display());
    let console = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(O_NOCTTY)
        .open(&path)
        .context(context)?;
    let is_terminal = console.is_terminal();
    if is_terminal {
        let mut settings = tcgetattr(&console).context(context)?;
        cfmakeraw(&mut settings);
        tcsetattr(&console, SetArg::TCSANOW, &settings).context(context)?;
    }

    let reader = BufReader::new(console.try_clone().context(context)?);
    let (sender, names) = channel();
    thread::spawn(move || {
        for name in reader.lines().map_while(Result::ok) {
            if sender.send(name).is_err() {
                break;
            }
        }
        halt();
    });
    let file = Mutex::new(console);
    Ok((Channel { file, is_terminal }, names))
}

/// The virtio serial port, of which there is one: `vport1p1` or so.
fn serial_port() -> Result<PathBuf, Error> {
    let folder = Path::new("/dev");
    fs::read_dir(folder)
        .at("listing", folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().starts_with("/dev/vport"))
        .ok_or_else(|| std::io::Error::other("there is no /dev/vport*"))
        .context(|| "looking for the connection to the harness".to_owned())
}

impl Channel {
    fn send(&self, frame: &Frame) -> Result<(), Error> {
        let mut console = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let context = || "writing to the harness".to_owned();
        console.write_all(&frame.encode()).context(context)?;
        if self.is_terminal {
            // Halting would lose what the console has not passed on.
            tcdrain(&*console).context(context)?;
        }
        Ok(())
    }

    /// Forwards the output of a test in whole lines, because others write to the same terminal. Only
    /// very long lines are split.
    fn copy(&self, from: Option<impl Read>, frame: impl Fn(Vec<u8>) -> Frame) {
        const LONG: usize = 1 << 16;
        let Some(mut from) = from else { return };
        let mut buffer = vec![0; LONG];
        let mut kept = Vec::new();
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
            let lines = kept.iter().rposition(|byte| *byte == b'\n');
            let ready = match lines {
                Some(newline) => newline + 1,
                None if kept.len() >= LONG => kept.len(),
                None => 0,
            };
            let rest = kept.split_off(ready);
            let ready = std::mem::replace(&mut kept, rest);
            if !ready.is_empty() && self.send(&frame(ready)).is_err() {
                return;
            }
        }
        if !kept.is_empty() {
            // If the harness is gone, nobody wants the output.
            let _ = self.send(&frame(kept));
        }
    }
}

/// Runs a test in a process of its own and returns its result.
fn run(job: &Job, name: &str, channel: &Channel) -> Result<Frame, Error> {
    let report = Path::new(REPORT);
    let _ = fs::remove_file(report);
    let mut command = Command::new(&job.program);
    command
        .args(&job.arguments)
        .env_clear()
        .envs(job.variables())
        .env("TMPDIR", "/dev/shm")
        .env(
            machine::IN_GUEST,
            if job.is_emulated {
                machine::DEBIAN
            } else {
                "1"
            },
        )
        .current_dir(&job.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    process::assign_test(&mut command, name, report);
    let mut child = command.spawn().at("starting", &job.program)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let status = thread::scope(|scope| {
        scope.spawn(|| channel.copy(stdout, Frame::Stdout));
        scope.spawn(|| channel.copy(stderr, Frame::Stderr));
        let status = child.wait();
        // A process that the test left running would hold its output open and disturb the next test.
        end_all_others();
        status
    });
    let status = status.context(|| "waiting for the test".to_owned())?;
    if job.is_emulated {
        // What the test wrote is then on this machine before its result is.
        sync();
    }
    Ok(match fs::read(report) {
        Ok(bytes) if !bytes.is_empty() => Frame::Report(bytes),
        _ => Frame::NoReport(status.to_string()),
    })
}

/// Kills every process of the guest but this one.
fn end_all_others() {
    debug_assert_eq!(getpid().as_raw(), 1);
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while matches!(
        waitpid(None, Some(WaitPidFlag::WNOHANG)),
        Ok(status) if status != WaitStatus::StillAlive
    ) {}
}
