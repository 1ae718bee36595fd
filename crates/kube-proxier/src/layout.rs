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

use std::sync::Arc;

use clap::ValueEnum;
use dummy_link::Table;
use proxier::cluster::Family;
use proxier::nftables::TableRules;
use proxier::{Config, LINK, Layout};
use proxier_linux::{OpenError, Traces, probe_nftables};
use tokio::sync::watch;

use super::doctor;
use super::options::Options;

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

/// A machine that was opened for the layout that is to be programmed.
pub(super) struct Opened<M> {
    pub(super) layout: Layout,
    /// Why this one.
    pub(super) why: String,
    /// Opened for it, or why that cannot be.
    pub(super) machine: Result<M, OpenError>,
}

/// What is known of the machine without opening anything.
pub(super) trait Surroundings {
    /// Whether state of layout `current` is there.
    fn has_state(&self) -> bool;

    /// Why a dummy link cannot be made, if it cannot.
    fn lacks_link(&self) -> Option<String>;

    /// What of nf_tables the kernel lacks, if anything.
    fn lacks_nftables(&self) -> Option<String>;
}

/// Those of this machine.
pub(super) struct ThisNode;

impl Surroundings for ThisNode {
    fn has_state(&self) -> bool {
        Traces::look().link
    }

    fn lacks_link(&self) -> Option<String> {
        let check = doctor::dummy_link();
        (check.verdict == doctor::Verdict::Fails).then_some(check.found)
    }

    fn lacks_nftables(&self) -> Option<String> {
        let probed = probe_nftables(&TableRules::new(Family::V4));
        probed.err().map(|error| error.to_string())
    }
}

/// Opens a machine for the layout that was named. Where none was: for `current` if its state is there, or what it needs;
/// otherwise for `nftables`, if the machine has what that one needs.
///
/// The state of `current` counts even where its tools are gone: without them another layout could not take its rules away.
pub(super) fn open<M>(
    options: &Options,
    around: &impl Surroundings,
    mut open: impl FnMut(Layout) -> Result<M, OpenError>,
) -> Opened<M> {
    let opened = |layout: Layout, why: String, machine| Opened {
        layout,
        why,
        machine,
    };
    let named = options.layout.named();
    let mode = (!options.config.layout.uses_ipvs()).then_some(options.config.layout);
    if let Some(layout) = mode.or(named) {
        return opened(layout, "as configured".to_owned(), open(layout));
    }
    let current = Layout::Current;
    if around.has_state() {
        let why = format!("its state is on this node: link {LINK}");
        return opened(current, why, open(current));
    }
    let first = open(current);
    let lacks = match &first {
        Err(error @ (OpenError::Iptables(_) | OpenError::Ipset(_))) => Some(error.to_string()),
        // The other layout needs that too.
        Err(_) => None,
        Ok(_) => around.lacks_link(),
    };
    let Some(lacks) = lacks else {
        let why = "iptables, ipset and dummy links are there".to_owned();
        return opened(current, why, first);
    };
    let lacks_other = around.lacks_nftables();
    let other = match lacks_other {
        None => open(Layout::Nftables).map_err(|error| error.to_string()),
        Some(lacks) => Err(lacks),
    };
    match other {
        Ok(machine) => {
            let why = format!("this machine lacks what current needs: {lacks}");
            opened(Layout::Nftables, why, Ok(machine))
        }
        Err(error) => {
            let why = format!("this machine lacks what nftables needs: {error}");
            opened(current, why, first)
        }
    }
}

/// The layout in force, as threads and tasks see it that have to do with it. A clone is the same.
#[derive(Clone, Debug)]
pub(super) struct InForce(Arc<watch::Sender<Force>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Force {
    layout: Layout,
    /// The proxy's routing table, in a layout that has one.
    table: Option<Table>,
    /// The port by which tables of nf_tables are changed.
    port: Option<u32>,
}

impl Force {
    fn of(config: &Config, port: Option<u32>) -> Self {
        let layout = config.layout;
        Self {
            layout,
            table: (layout == Layout::Nftables).then_some(config.nftables.routing_table),
            port,
        }
    }
}

impl InForce {
    pub(super) fn new(config: &Config, port: Option<u32>) -> Self {
        Self(Arc::new(watch::Sender::new(Force::of(config, port))))
    }

    pub(super) fn set(&self, config: &Config, port: Option<u32>) {
        let now = Force::of(config, port);
        let replace = |force: &mut Force| std::mem::replace(force, now) != now;
        self.0.send_if_modified(replace);
    }

    pub(super) fn layout(&self) -> Layout {
        self.0.borrow().layout
    }

    pub(super) fn port(&self) -> Option<u32> {
        self.0.borrow().port
    }

    /// Completes while layout `nftables` is in force, with its routing table.
    pub(super) async fn guarded(&self) -> Table {
        let mut force = self.0.subscribe();
        loop {
            if let Some(table) = force.borrow_and_update().table {
                return table;
            }
            // The sender lives as long as this does.
            let _ = force.changed().await;
        }
    }

    /// Completes once layout `nftables` is left, or uses another routing table.
    pub(super) async fn guarded_no_more(&self, table: Table) {
        let mut force = self.0.subscribe();
        let _ = force.wait_for(|force| force.table != Some(table)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::options::{Flags, ThisProcess};

    struct Node {
        state: bool,
        link: bool,
    }

    impl Surroundings for Node {
        fn has_state(&self) -> bool {
            self.state
        }

        fn lacks_link(&self) -> Option<String> {
            (!self.link).then(|| "no module dummy".to_owned())
        }

        fn lacks_nftables(&self) -> Option<String> {
            None
        }
    }

    fn lacks_ipset() -> OpenError {
        OpenError::Ipset(ipset_netlink::Error::NoIpset)
    }

    fn lacks_nftables() -> OpenError {
        OpenError::Nftables(nftables_netlink::Error::NoNftables)
    }

    /// The layout taken, whether it was opened, which were tried, and why.
    fn taken(
        line: &str,
        node: &Node,
        current: bool,
        nftables: bool,
    ) -> (Layout, bool, Vec<Layout>, String) {
        let words = ["kube-proxier"].into_iter().chain(line.split_whitespace());
        let options = Options::read(Flags::read(words).unwrap(), &ThisProcess).unwrap();
        let tried = RefCell::new(Vec::new());
        let opened = open(&options, node, |layout| {
            tried.borrow_mut().push(layout);
            match layout {
                Layout::Nftables if nftables => Ok(()),
                Layout::Nftables => Err(lacks_nftables()),
                _ if current => Ok(()),
                _ => Err(lacks_ipset()),
            }
        });
        let is_open = opened.machine.is_ok();
        (opened.layout, is_open, tried.into_inner(), opened.why)
    }

    #[test]
    fn what_is_named_is_taken_whatever_is_there() {
        use Layout::{Classic, Current, Nftables};
        let bare = Node {
            state: true,
            link: true,
        };
        for (line, layout) in [
            ("--layout=nftables", Nftables),
            ("--layout=classic", Classic),
            ("--layout=current", Current),
        ] {
            let (taken, _, tried, why) = taken(line, &bare, false, true);
            assert_eq!((taken, &*why), (layout, "as configured"));
            assert_eq!(tried, [layout]);
        }
    }

    #[test]
    fn what_is_not_named_is_current_where_that_can_be_or_is_there() {
        use Layout::{Current, Nftables};
        let node = |state, link| Node { state, link };
        for line in ["", "--layout=auto"] {
            // All is there: nf_tables is not even looked at.
            let (layout, is_open, tried, why) = taken(line, &node(false, true), true, true);
            assert_eq!((layout, is_open, tried), (Current, true, vec![Current]));
            assert!(why.contains("are there"), "{why}");
            // No ipset.
            let (layout, is_open, _, why) = taken(line, &node(false, true), false, true);
            assert_eq!((layout, is_open), (Nftables, true));
            assert!(why.contains("ipset"), "{why}");
            // No dummy links.
            let (layout, is_open, _, why) = taken(line, &node(false, false), true, true);
            assert_eq!((layout, is_open), (Nftables, true));
            assert!(why.contains("no module dummy"), "{why}");
            // Its state is there, its tools are not: the error says so.
            let (layout, is_open, tried, why) = taken(line, &node(true, true), false, true);
            assert_eq!((layout, is_open, tried), (Current, false, vec![Current]));
            assert!(why.contains("kube-ipvs0"), "{why}");
            // Neither is possible.
            let (layout, is_open, _, why) = taken(line, &node(false, true), false, false);
            assert_eq!((layout, is_open), (Current, false));
            assert!(why.contains("nf_tables"), "{why}");
        }
    }
}
