//! Changes of flows.

use std::time::Duration;

use crate::{Flow, FlowKey, Mark, Status};

/// What to change of a flow that the kernel tracks.
///
/// The kernel finds the flow by its original tuple and zone; it does not compare the id of the key.
///
/// ```
/// use std::time::Duration;
/// use conntrack_netlink::{FlowKey, FlowUpdate, Mark, Protocol, Tuple};
///
/// let dns = Tuple::ports(
///     Protocol::UDP,
///     ("10.0.0.1".parse()?, 40000),
///     ("10.96.0.10".parse()?, 53),
/// );
/// let update = FlowUpdate::new(dns)
///     .mark(Mark { value: 0x10, mask: 0xf0 })
///     .timeout(Duration::from_secs(30));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct FlowUpdate {
    /// The flow.
    pub key: FlowKey,
    /// The bits of its mark that change, and their value.
    pub mark: Option<Mark>,
    /// In how long it is forgotten unless packets come, in whole seconds. Those of a flow with
    /// [`Status::FIXED_TIMEOUT`] cannot be changed (`EPERM`).
    pub timeout: Option<Duration>,
    /// All its status bits. The kernel sets bits and clears none: it refuses (`EBUSY`) what lacks
    /// [`CONFIRMED`](Status::CONFIRMED), or [`SEEN_REPLY`](Status::SEEN_REPLY) or
    /// [`ASSURED`](Status::ASSURED) where the flow has them, and passes over those of address translation.
    pub status: Option<Status>,
}

impl FlowUpdate {
    /// Changes nothing yet of this flow.
    #[must_use]
    pub fn new(key: impl Into<FlowKey>) -> Self {
        Self {
            key: key.into(),
            mark: None,
            timeout: None,
            status: None,
        }
    }

    /// Changes these bits of its mark to their value.
    #[must_use]
    pub const fn mark(mut self, mark: Mark) -> Self {
        self.mark = Some(mark);
        self
    }

    /// Lets it be forgotten in so long, in whole seconds, unless packets come.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets these bits beside those that the flow was listed with.
    #[must_use]
    pub fn add_status(mut self, listed: &Flow, bits: Status) -> Self {
        self.status = Some(listed.status.unwrap_or_default() | bits);
        self
    }
}
