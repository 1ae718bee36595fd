//! A link between a guest and the machine that it runs on.

use std::any::Any;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use crate::command::try_cmd;
use crate::error::{Context as _, Error};
use crate::netns::Netns;

/// The link's name in the guest.
const IN_GUEST: &str = "vec0";
/// Its name on this machine, in a network namespace of its own.
const HERE: &str = "tap0";
/// The prefix of both addresses.
const PREFIX: u8 = 30;

/// Environment variable that is set in a guest with a link.
pub(crate) const LINKED: &str = "KERNEL_TEST_LINKED";

/// What runs on this machine beside a test. It ends when what it gives is dropped.
pub(crate) type Companion = Arc<dyn Fn() -> Box<dyn Any + Send> + Send + Sync>;

/// The addresses at both ends of the link between a guest and the machine that it runs on
/// ([`Test::beside`](crate::Test::beside)). They are of those for measurements between devices
/// (RFC 2544), and of network namespaces that nothing else is in.
#[derive(Debug)]
#[non_exhaustive]
pub struct Link;

impl Link {
    /// The machine's.
    pub const MACHINE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
    /// The guest's.
    pub const GUEST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
}

/// This machine's end: a tap device in a network namespace of its own, which goes with it.
#[derive(Debug)]
pub(crate) struct End(Netns);

impl End {
    /// Makes one.
    ///
    /// # Errors
    /// [`Error::System`] if this is not root, or there is no `/dev/net/tun`.
    pub(crate) fn new() -> Result<Self, Error> {
        let netns = Netns::new()?;
        let made = netns.try_cmd(&format!(
            "ip tuntap add dev {HERE} mode tap && ip address add {}/{PREFIX} dev {HERE} && ip link set {HERE} up",
            Link::MACHINE
        ));
        made.map_err(std::io::Error::other)
            .at("making a link to the guest by", Path::new("/dev/net/tun"))?;
        Ok(Self(netns))
    }

    /// Calls the closure where the link is, on a thread of its own.
    pub(crate) fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        self.0.run(inside)
    }
}

/// The argument by which User Mode Linux has the other end. It takes packets longer than the link's, as this machine hands them over,
/// which it would lose otherwise.
pub(crate) fn argument() -> String {
    format!("{IN_GUEST}:transport=tap,ifname={HERE},gro=1")
}

/// In the guest: moves its end from there to the calling thread's network namespace.
pub(crate) fn take_from(first: &Netns) -> Result<(), Error> {
    let process = std::process::id();
    let moved = first.try_cmd(&format!("ip link set {IN_GUEST} netns {process}"));
    moved
        .and_then(|_| {
            try_cmd(&format!(
                "ip address add {}/{PREFIX} dev {IN_GUEST} && ip link set {IN_GUEST} up",
                Link::GUEST
            ))
        })
        .map_err(std::io::Error::other)
        .context(|| format!("taking the link {IN_GUEST}"))?;
    Ok(())
}
