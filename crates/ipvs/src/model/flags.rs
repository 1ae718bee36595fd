//! Flags of a virtual server.

use std::fmt;

use crate::{Error, Result, Scheduler};

bitflags::bitflags! {
    /// Flags of a virtual server (`IP_VS_SVC_F_*`). Bits this crate does not name are kept.
    /// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/ip_vs.h>
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[cfg_attr(feature = "serde", serde(transparent))]
    pub struct ServiceFlags: u32 {
        /// A client keeps its destination for the persistence timeout after its last connection.
        const PERSISTENT = 0x01;
        /// The kernel's own mark that the service is in its table. Never part of a configuration:
        /// removed from what the kernel reports, and from requests.
        const HASHED = 0x02;
        /// Each datagram is scheduled on its own, without a connection (UDP).
        const ONE_PACKET = 0x04;
        /// First flag of the scheduler: with `sh` and `mh`, use another destination where the
        /// chosen one is unavailable.
        const SCHED_1 = 0x08;
        /// Second flag of the scheduler: with `sh` and `mh`, hash the source port too.
        const SCHED_2 = 0x10;
        /// Third flag of the scheduler; no scheduler of Linux 6.12 has one.
        const SCHED_3 = 0x20;
        const _ = !0;
    }
}

impl ServiceFlags {
    /// `sh`: use another destination where the chosen one is unavailable.
    pub const SH_FALLBACK: Self = Self::SCHED_1;
    /// `sh`: hash the source port too.
    pub const SH_PORT: Self = Self::SCHED_2;
    /// `mh`: use another destination where the chosen one is unavailable.
    pub const MH_FALLBACK: Self = Self::SCHED_1;
    /// `mh`: hash the source port too.
    pub const MH_PORT: Self = Self::SCHED_2;

    /// The three flags whose meaning is the scheduler's.
    pub const SCHEDULER: Self = Self::SCHED_1.union(Self::SCHED_2).union(Self::SCHED_3);
}

/// The scheduler's flags as `ipvsadm -b` spells them, comma separated: `mh-fallback,mh-port` for a
/// scheduler that names them, `flag-1,flag-3` else. Displays as nothing where none is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulerFlags {
    /// The scheduler, which decides the names.
    pub scheduler: Scheduler,
    /// All flags of the service; only [`ServiceFlags::SCHEDULER`] are shown.
    pub flags: ServiceFlags,
}

impl SchedulerFlags {
    const NAMES: [(ServiceFlags, &'static str, Option<Scheduler>); 7] = [
        (ServiceFlags::SCHED_1, "sh-fallback", Some(Scheduler::SH)),
        (ServiceFlags::SCHED_1, "mh-fallback", Some(Scheduler::MH)),
        (ServiceFlags::SCHED_2, "sh-port", Some(Scheduler::SH)),
        (ServiceFlags::SCHED_2, "mh-port", Some(Scheduler::MH)),
        (ServiceFlags::SCHED_1, "flag-1", None),
        (ServiceFlags::SCHED_2, "flag-2", None),
        (ServiceFlags::SCHED_3, "flag-3", None),
    ];

    /// Flags of `scheduler` from a comma-separated list of names.
    ///
    /// # Errors
    /// [`Error::SaveLine`] naming the flag that the scheduler does not have.
    pub fn parse(scheduler: Scheduler, text: &str) -> Result<ServiceFlags> {
        text.split(',')
            .try_fold(ServiceFlags::empty(), |flags, name| {
                let known = Self::NAMES.iter().find(|(_, known, owner)| {
                    *known == name && owner.is_none_or(|s| s == scheduler)
                });
                match known {
                    Some((flag, ..)) => Ok(flags | *flag),
                    None => Err(Error::save_line(name, "not a flag of this scheduler")),
                }
            })
    }

    fn name(self, flag: ServiceFlags) -> Option<&'static str> {
        let mut names = Self::NAMES.iter().filter(|(known, ..)| *known == flag);
        names
            .find(|(_, _, owner)| owner.is_none_or(|s| s == self.scheduler))
            .map(|(_, name, _)| *name)
    }
}

impl fmt::Display for SchedulerFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ServiceFlags::SCHED_1,
            ServiceFlags::SCHED_2,
            ServiceFlags::SCHED_3,
        ];
        let set = all.into_iter().filter(|flag| self.flags.contains(*flag));
        for (index, name) in set.filter_map(|flag| self.name(flag)).enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_named_by_their_scheduler() {
        let flags = ServiceFlags::SCHED_1 | ServiceFlags::SCHED_2;
        for (scheduler, text) in [
            (Scheduler::SH, "sh-fallback,sh-port"),
            (Scheduler::MH, "mh-fallback,mh-port"),
            (Scheduler::RR, "flag-1,flag-2"),
        ] {
            assert_eq!(SchedulerFlags { scheduler, flags }.to_string(), text);
            assert_eq!(SchedulerFlags::parse(scheduler, text), Ok(flags));
        }
        assert!(SchedulerFlags::parse(Scheduler::MH, "sh-port").is_err());
        assert!(SchedulerFlags::parse(Scheduler::MH, "mh-port,").is_err());
    }

    #[test]
    fn unknown_bits_are_kept() {
        assert_eq!(ServiceFlags::from_bits_retain(0x1041).bits(), 0x1041);
    }
}
