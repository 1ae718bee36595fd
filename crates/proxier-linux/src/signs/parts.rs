//! The parts of the kernel's state that signs are of.

use bitflags::bitflags;
use proxier::Operation;

bitflags! {
    /// Parts of the kernel's state, each with a sign of its own.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Parts: u8 {
        /// Virtual servers and destinations.
        const SERVERS = 1;
        /// Sets and their entries.
        const SETS = 1 << 1;
        /// Rules of iptables, and tables of nf_tables.
        const RULES = 1 << 2;
        /// Values under `/proc/sys`, and the timeouts of IPVS.
        const SETTINGS = 1 << 3;
    }
}

impl Parts {
    /// The parts that an operation changes, or more. All for operations that few plans have: rules refer to sets, and a new link
    /// has settings.
    pub(super) const fn of(operation: &Operation) -> Self {
        match operation {
            _ if operation.server().is_some() => Self::SERVERS,
            Operation::AddEntry { .. } | Operation::DeleteEntry { .. } => Self::SETS,
            // They raise the generation of nf_tables.
            Operation::AddElement { .. }
            | Operation::ChangeElement { .. }
            | Operation::DeleteElement { .. } => Self::RULES,
            // Addresses and routes have no sign: the kernel reports what becomes of them.
            Operation::BindAddress(_)
            | Operation::UnbindAddress(_)
            | Operation::AddRoutingRule(_)
            | Operation::DeleteRoutingRule(_)
            | Operation::AddRoute(_)
            | Operation::DeleteRoute(_) => Self::empty(),
            _ => Self::all(),
        }
    }
}
