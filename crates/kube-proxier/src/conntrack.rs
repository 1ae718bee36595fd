//! The node's connection tracking, set up as kube-proxy does it at start in every mode: how many connections are tracked,
//! and for how long.
//!
//! What is written, and when, is from kube-proxy: `pkg/proxy/conntrack/sysctls.go` in kubernetes/kubernetes. It ends where
//! one setting cannot be written; here that is a warning, and the rest is set up.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::{fs, thread};

use crate::config::Conntrack;

/// The most that is made of the number of processors (kubernetes/kubernetes#137002).
const MOST_SCALED: u64 = 1 << 20;
/// How many connections there may be for each bucket of the kernel's table, or lookups get slow.
const PER_BUCKET: u64 = 4;
const SETTINGS: &str = "proc/sys/net/netfilter";
const BUCKETS: &str = "sys/module/nf_conntrack/parameters/hashsize";
const PROCESSORS: &str = "sys/devices/system/cpu/online";

/// Sets up this machine, in the network namespace of the calling thread. What is changed is logged, and what cannot be
/// set, with a way out.
pub(super) fn set_up(wanted: &Conntrack) {
    for outcome in set_up_below(Path::new("/"), wanted) {
        match outcome {
            Ok(change) => tracing::info!("{change}"),
            Err(error) => tracing::warn!(remedy = error.remedy(), "connection tracking: {error}"),
        }
    }
}

/// A setting that was changed.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    path: PathBuf,
    was: u64,
    is: u64,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, was, is } = self;
        write!(f, "{}: was {was}, is {is}", path.display())
    }
}

/// A setting that is not as wanted.
#[derive(Debug, thiserror::Error)]
#[error("{}: {value} is wanted: {reason}", path.display())]
struct SettingError {
    path: PathBuf,
    value: u64,
    /// The setting that turns it off.
    leave: &'static str,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("cannot be read: {0}")]
    Unread(#[source] io::Error),
    #[error("stays {was}, cannot be written: {error}")]
    Unwritten {
        was: u64,
        #[source]
        error: io::Error,
    },
}

impl SettingError {
    /// What to do about it.
    fn remedy(&self) -> String {
        let Self { path, value, .. } = self;
        let path = path.display();
        match &self.reason {
            Reason::Unread(error) if error.kind() == ErrorKind::NotFound => {
                "modprobe nf_conntrack, and start this again".to_owned()
            }
            // Containers have both trees read-only, other network namespaces cannot change what is the machine's.
            _ => format!(
                "on the node itself: echo {value} > {path}; or leave it as it is: conntrack: {{{}}}",
                self.leave
            ),
        }
    }
}

/// The same with the trees `proc` and `sys` below another root: what was changed, and what could not be.
fn set_up_below(root: &Path, wanted: &Conntrack) -> Vec<Result<Change, SettingError>> {
    let setting = |file: &str| root.join(SETTINGS).join(file);
    let mut outcomes = Vec::new();
    let limit = limit(wanted, processors(root));
    if limit > 0 {
        let leave = "maxPerCore: 0";
        // A limit that somebody raised stays (kubernetes/kubernetes#142035), and so does a table.
        let set = at_least(setting("nf_conntrack_max"), limit, leave);
        let is_set = set.is_ok();
        outcomes.extend(set.transpose());
        if is_set {
            outcomes.extend(at_least(root.join(BUCKETS), limit / PER_BUCKET, leave).transpose());
        }
    }
    for (file, value, leave) in [
        (
            "nf_conntrack_tcp_timeout_established",
            wanted.tcp_established_timeout,
            "tcpEstablishedTimeout: 0s",
        ),
        (
            "nf_conntrack_tcp_timeout_close_wait",
            wanted.tcp_close_wait_timeout,
            "tcpCloseWaitTimeout: 0s",
        ),
        (
            "nf_conntrack_tcp_be_liberal",
            wanted.tcp_be_liberal.into(),
            "tcpBeLiberal: false",
        ),
        (
            "nf_conntrack_udp_timeout",
            wanted.udp_timeout,
            "udpTimeout: 0s",
        ),
        (
            "nf_conntrack_udp_timeout_stream",
            wanted.udp_stream_timeout,
            "udpStreamTimeout: 0s",
        ),
    ] {
        if value > 0 {
            outcomes.extend(exactly(setting(file), value.into(), leave).transpose());
        }
    }
    outcomes
}

/// How many connections are to be tracked; 0 for as many as the kernel has it.
fn limit(wanted: &Conntrack, processors: u64) -> u64 {
    if wanted.max_per_core == 0 {
        return 0;
    }
    let scaled = u64::from(wanted.max_per_core) * processors;
    // kube-proxy v1.36 forgets a minimum that is over the most; whoever asks for it has counted the memory.
    scaled.min(MOST_SCALED).max(wanted.min.into())
}

/// How many processors the node has, not how many of them this process may use.
fn processors(root: &Path) -> u64 {
    let online = fs::read_to_string(root.join(PROCESSORS)).ok();
    online
        .and_then(|list| count(list.trim()))
        .unwrap_or_else(|| {
            thread::available_parallelism().map_or(1, |processors| processors.get() as u64)
        })
}

/// How many numbers a list such as `0-3,8` has, if it has any.
fn count(list: &str) -> Option<u64> {
    let mut count: u64 = 0;
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        count = count
            .checked_add(last.checked_sub(first)?)?
            .checked_add(1)?;
    }
    Some(count)
}

fn at_least(
    path: PathBuf,
    value: u64,
    leave: &'static str,
) -> Result<Option<Change>, SettingError> {
    ensure(path, value, leave, |is| is >= value)
}

fn exactly(path: PathBuf, value: u64, leave: &'static str) -> Result<Option<Change>, SettingError> {
    ensure(path, value, leave, |is| is == value)
}

/// Writes a value where there is another that will not do; what was changed by that.
fn ensure(
    path: PathBuf,
    value: u64,
    leave: &'static str,
    will_do: impl Fn(u64) -> bool,
) -> Result<Option<Change>, SettingError> {
    let set = || {
        let was = read(&path).map_err(Reason::Unread)?;
        if will_do(was) {
            tracing::debug!("{}: {was}, {value} is wanted", path.display());
            return Ok(None);
        }
        fs::write(&path, value.to_string()).map_err(|error| Reason::Unwritten { was, error })?;
        Ok(Some(was))
    };
    match set() {
        Ok(was) => Ok(was.map(|was| Change {
            path,
            was,
            is: value,
        })),
        Err(reason) => Err(SettingError {
            path,
            value,
            leave,
            reason,
        }),
    }
}

fn read(path: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let number = text.trim().parse();
    number.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests;
