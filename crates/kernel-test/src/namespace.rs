//! The namespaces that a test runs in.

use std::fs;
use std::marker::PhantomData;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::error::{Context as _, Error};
use crate::link;
use crate::netns::{self, Netns};

/// A test's own network namespace, with `lo` up, and mount namespace, with a `/run` and `/sys` to match.
///
/// Namespaces belong to threads: this value cannot leave the one it was made on. Threads and processes
/// started from there inherit them; [`Namespace::netns`] gives a handle that any thread can use.
#[derive(Debug)]
pub struct Namespace {
    netns: Netns,
    /// Neither `Send` nor `Sync`.
    here: PhantomData<*const ()>,
}

impl Namespace {
    /// Moves this thread into new namespaces. It cannot go back.
    ///
    /// # Errors
    /// [`Error::System`]: making namespaces and mounting takes root, of the machine or of a user
    /// namespace.
    pub(crate) fn enter() -> Result<Self, Error> {
        let first = Netns::current()?;
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
            .context(|| "making a network and a mount namespace".to_owned())?;
        // What is mounted from here on must not show on the machine.
        mount_one("none", "/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE)
            .context(|| "making mounts private".to_owned())?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        // Inside some containers sysfs cannot be mounted; then /sys shows the machine's links, which
        // few tests look at.
        let _ = mount_one("sysfs", "/sys", Some("sysfs"), flags | MsFlags::MS_NOEXEC);
        mount_one("tmpfs", "/run", Some("tmpfs"), flags).context(|| "mounting /run".to_owned())?;
        for folder in [
            Path::new("/run/lock"),
            Path::new("/run/netns"),
            &std::env::temp_dir(),
        ] {
            fs::create_dir_all(folder).at("creating", folder)?;
        }
        netns::lo_up()?;
        if std::env::var_os(link::LINKED).is_some() {
            link::take_from(&first)?;
        }
        Ok(Self {
            netns: Netns::current()?,
            here: PhantomData,
        })
    }

    /// A handle to the network namespace, for other threads and to join it with others.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }
}

/// `mount` without a source's options.
pub(crate) fn mount_one(
    source: &str,
    target: impl AsRef<Path>,
    kind: Option<&str>,
    flags: MsFlags,
) -> nix::Result<()> {
    mount(Some(source), target.as_ref(), kind, flags, None::<&str>)
}
