//! Which layout is programmed, and how a node moves from one to another.
//!
//! # Moving
//!
//! There is one way for all layouts, whoever asks: a process that starts on a node with another layout's state, and one
//! that runs when its configuration file changes. [`reconcile`](proxier::reconcile()) plans from whatever is observed to the
//! layout that is wanted, and its phases are the order of a move: what the new layout needs is made first, then what the
//! old one made is taken away; virtual servers that both need stay, and so do their connections. A property test of
//! `proxier` (`moving`) carries out every prefix of such plans and finds a way to each Service address after each.
//!
//! A live change takes these steps in the loop of [`Syncer`](crate::sync::Syncer):
//!
//! 1. [`Event::Config`](crate::Event::Config) comes with another [`Config::layout`](proxier::Config::layout). A full
//!    sync is due at once.
//! 2. [`Machine::switch_to`](crate::Machine::switch_to) opens what the new layout needs and keeps open what the old one had.
//!    Where that fails, the error is logged and the layout in force stays, with the rest of the new configuration.
//! 3. The engine gets the configuration, the kernel is observed, and the plan of the audit is the move.
//! 4. After a full sync without failures nothing of the old layout is left, and
//!    [`Machine::settled`](crate::Machine::settled) closes what only that one needed.
//!
//! So another layout or mode needs: its [`Layout`], which `translate`, `reconcile` and the engine know; what
//! `LinuxKernel::open_for` opens for it; its name in [`LayoutChoice`], or a field of the configuration file that sets
//! `Config::layout`; and its pairs in the property test.

use clap::ValueEnum;
use proxier::Layout;

/// Which layout was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LayoutChoice {
    /// What suits the machine.
    #[default]
    Auto,
    /// [`Layout::Current`].
    Current,
    /// [`Layout::Classic`].
    Classic,
    /// [`Layout::Nftables`].
    Nftables,
}

impl LayoutChoice {
    /// The layout, if one was named.
    #[must_use]
    pub const fn named(self) -> Option<Layout> {
        match self {
            Self::Auto => None,
            Self::Current => Some(Layout::Current),
            Self::Classic => Some(Layout::Classic),
            Self::Nftables => Some(Layout::Nftables),
        }
    }
}
