//! How a virtual server is configured.

use crate::{Family, Netmask, PersistenceEngine, Scheduler, ServiceFlags};

/// How a virtual server is configured: everything that can be changed while it exists.
///
/// A configuration fits virtual servers of both families.
///
/// ```
/// use ipvs_netlink::{Family, Netmask, Scheduler, VirtualServerConfig};
///
/// let config = VirtualServerConfig::new(Scheduler::WRR)
///     .persistent(300)
///     .with_netmask(Netmask::new(Family::V4, 24)?);
/// assert!(config.is_persistent());
/// # Ok::<(), ipvs_netlink::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct VirtualServerConfig {
    /// Chooses the destination of a connection.
    pub scheduler: Scheduler,
    /// Persistence, one-packet scheduling and the scheduler's flags. What the kernel reports comes
    /// without [`ServiceFlags::HASHED`], so that configurations read and written compare as equal.
    #[cfg_attr(feature = "serde", serde(default))]
    pub flags: ServiceFlags,
    /// Persistence timeout in seconds; of no effect without [`ServiceFlags::PERSISTENT`].
    #[cfg_attr(feature = "serde", serde(default))]
    pub timeout: u32,
    /// Which clients persistence takes together; of no effect without [`ServiceFlags::PERSISTENT`]. An
    /// IPv4 mask with holes, which the kernel takes from other programs, is reported as the prefix
    /// before its first hole.
    #[cfg_attr(feature = "serde", serde(default))]
    pub netmask: Netmask,
    /// Decides by other means than the address which connections belong together.
    #[cfg_attr(feature = "serde", serde(default))]
    pub engine: Option<PersistenceEngine>,
}

impl VirtualServerConfig {
    /// The plain configuration: no flags, no persistence, each client alone.
    #[must_use]
    pub const fn new(scheduler: Scheduler) -> Self {
        Self {
            scheduler,
            flags: ServiceFlags::empty(),
            timeout: 0,
            netmask: Netmask::HOST,
            engine: None,
        }
    }

    /// The same with persistence: a client keeps its destination until it has been silent for
    /// `timeout` seconds.
    #[must_use]
    pub const fn persistent(mut self, timeout: u32) -> Self {
        self.flags = self.flags.union(ServiceFlags::PERSISTENT);
        self.timeout = timeout;
        self
    }

    /// The same with a persistence netmask.
    #[must_use]
    pub const fn with_netmask(mut self, netmask: Netmask) -> Self {
        self.netmask = netmask;
        self
    }

    /// The same with these flags set as well.
    #[must_use]
    pub const fn with_flags(mut self, flags: ServiceFlags) -> Self {
        self.flags = self.flags.union(flags);
        self
    }

    /// The same with a persistence engine.
    #[must_use]
    pub const fn with_engine(mut self, engine: PersistenceEngine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// The configuration as the kernel reports it of a virtual server of this family: without
    /// [`ServiceFlags::HASHED`] and without the netmask of the other family.
    #[must_use]
    pub fn of(mut self, family: Family) -> Self {
        self.flags -= ServiceFlags::HASHED;
        self.netmask = self.netmask.of(family);
        self
    }

    /// Whether clients keep their destination.
    #[must_use]
    pub const fn is_persistent(&self) -> bool {
        self.flags.contains(ServiceFlags::PERSISTENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_configuration_takes_each_client_alone() {
        let config = VirtualServerConfig::new(Scheduler::RR);
        assert_eq!(config.netmask, Netmask::HOST);
        assert!(!config.is_persistent());
        assert!(config.persistent(60).is_persistent());
    }

    #[test]
    fn the_kernel_reports_no_other_family_and_no_mark_of_its_own() {
        let v6 = Netmask::new(Family::V6, 64).unwrap();
        let plain = VirtualServerConfig::new(Scheduler::RR).with_engine(PersistenceEngine::SIP);
        let config = plain.with_netmask(v6).with_flags(ServiceFlags::HASHED);
        assert_eq!(config.of(Family::V4), plain);
        assert_eq!(config.of(Family::V6), plain.with_netmask(v6));
    }
}
