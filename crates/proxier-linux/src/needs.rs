//! Which parts of the kernel a layout takes.

use proxier::Layout;

use crate::OpenError;

/// Whether a part of the kernel is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It is; otherwise the kernel cannot be used.
    Required,
    /// If it is there.
    Optional,
    /// If it is there, and something may have been made with it.
    Traced,
}

impl Need {
    /// Whether it is tried to open it, where something made with it was found or not.
    pub(crate) fn tries(self, traced: bool) -> bool {
        traced || self != Self::Traced
    }

    pub(crate) fn open<T>(
        self,
        traced: bool,
        open: impl FnOnce() -> Result<T, OpenError>,
    ) -> Result<Option<T>, OpenError> {
        match self {
            Self::Required => open().map(Some),
            _ if !self.tries(traced) => Ok(None),
            Self::Optional | Self::Traced => Ok(open().ok()),
        }
    }
}

/// How each part is opened.
#[derive(Clone, Copy)]
pub(crate) struct Needs {
    pub(crate) ipvs: Need,
    pub(crate) ipset: Need,
    /// The iptables tools.
    pub(crate) rules: Need,
    pub(crate) nftables: Need,
}

impl Needs {
    pub(crate) const fn of(layout: Layout) -> Self {
        match layout {
            Layout::Nftables => Self {
                ipvs: Need::Required,
                ipset: Need::Traced,
                rules: Need::Traced,
                nftables: Need::Required,
            },
            Layout::Iptables => Self {
                ipvs: Need::Traced,
                ipset: Need::Traced,
                rules: Need::Required,
                nftables: Need::Traced,
            },
            _ => Self {
                ipvs: Need::Required,
                ipset: Need::Required,
                rules: Need::Required,
                nftables: Need::Optional,
            },
        }
    }

    /// Whether it depends on what other layouts have left.
    pub(crate) fn look_for_traces(&self) -> bool {
        [self.ipvs, self.ipset, self.rules, self.nftables].contains(&Need::Traced)
    }
}
