//! Opening the kernel of this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dummy_link::LinkName;
use iptables_restore::ToolFinder;
use kmod_probe::{KernelVersion, Modules};
use proxier::cluster::{Family, PerFamily};
use proxier::{LINK, Layout};

use crate::needs::{Need, Needs};
use crate::nftables::Nftables;
use crate::signs::Watch;
use crate::tools::Search;
use crate::traces::Traces;
use crate::{LinuxKernel, SYSCTLS, links, tools};

/// The first kernel on which a table can be kept from others (`NFT_TABLE_F_OWNER`) and yet outlive its owner
/// (`NFT_TABLE_F_PERSIST`).
const OWNED_AND_PERSISTENT: KernelVersion = KernelVersion::new(6, 9, 0);

/// Why this machine's kernel cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// IPVS cannot be spoken to.
    #[error("IPVS: {0}")]
    Ipvs(#[source] ipvs_netlink::Error),
    /// ipset cannot be spoken to.
    #[error("ipset: {0}")]
    Ipset(#[source] ipset_netlink::Error),
    /// Links and addresses cannot be spoken of.
    #[error("links: {0}")]
    Links(#[source] dummy_link::Error),
    /// nf_tables cannot be spoken to.
    #[error("nf_tables: {0}")]
    Nftables(#[source] nftables_netlink::Error),
    /// There is no usable iptables.
    #[error("iptables: {0}")]
    Iptables(#[source] Box<iptables_restore::Error>),
    /// The kernel does not know IPVS, and its module could not be loaded.
    #[error("{netlink}; loading it failed: {module}")]
    NoIpvs {
        /// What the kernel said.
        netlink: Box<ipvs_netlink::Error>,
        /// Why the module was not loaded.
        #[source]
        module: Box<kmod_probe::Error>,
    },
    /// The kernel does not say which one it is.
    #[error("kernel release: {0}")]
    Release(#[source] kmod_probe::Error),
}

impl LinuxKernel {
    /// Opens the kernel, loading IPVS's module if it has to be.
    ///
    /// # Errors
    ///
    /// [`OpenError`] with the part that is missing and what to do about it.
    pub fn open() -> Result<Self, OpenError> {
        Self::open_for(Layout::default())
    }

    /// Opens the kernel for a layout. [`Layout::Nftables`] takes neither ipset nor iptables, and [`Layout::Iptables`] neither
    /// IPVS nor ipset; where another layout has left [traces](Traces), these are opened too if they can be, so that what it
    /// made is removed. What a layout does without is not loaded for it.
    ///
    /// # Errors
    ///
    /// [`OpenError`] with the part that is missing and what to do about it.
    pub fn open_for(layout: Layout) -> Result<Self, OpenError> {
        Self::open_parts(layout, &Needs::of(layout))
    }

    /// Opens the kernel with all parts that are there, whatever layout they are of, to remove what the proxy made.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if links cannot be spoken to.
    pub fn open_for_cleanup() -> Result<Self, OpenError> {
        Self::open_parts(
            Layout::default(),
            &Needs {
                ipvs: Need::Optional,
                ipset: Need::Optional,
                rules: Need::Optional,
                nftables: Need::Optional,
            },
        )
        .map(Self::for_a_command)
    }

    fn open_parts(layout: Layout, needs: &Needs) -> Result<Self, OpenError> {
        let modules = Modules::of_running_kernel().map_err(OpenError::Release)?;
        let version = modules.version().map_err(OpenError::Release)?;
        let traces = match needs.look_for_traces() {
            true => Traces::look(),
            false => Traces::default(),
        };
        // What costs no run of a tool comes first.
        let ipvs = match needs.ipvs {
            Need::Required => Some(open_ipvs(&modules)?),
            need => need.open(traces.servers, open_usable_ipvs)?,
        };
        let ipset = needs.ipset.open(traces.sets, || {
            ipset_netlink::Client::open().map_err(OpenError::Ipset)
        })?;
        let rules = needs.rules;
        let deadline = tools::deadline();
        // One for both families, which asks each program once for its version. They are looked for at the same time: each
        // runs several programs, one after the other.
        let finder = ToolFinder::new();
        let has_ipv6 = tools::has_ipv6(Path::new(SYSCTLS));
        let searches = PerFamily::from_fn(|family| {
            let there = family == Family::V4 || has_ipv6;
            let searched = there && rules.tries(*traces.rules.get(family));
            searched.then(|| Search::begin(family, &finder))
        });
        let v4 = match searches.v4 {
            Some(search) => rules.open(traces.rules.v4, || search.rules(deadline))?,
            None => None,
        };
        let v6 = match searches.v6 {
            Some(search) => rules.open(traces.rules.v6, || search.rules_of_ipv6(deadline))?,
            None => None,
        };
        let v6 = v6.flatten();
        let nftables = needs.nftables.open(traces.has_tables(), || {
            nftables_netlink::Client::open().map_err(OpenError::Nftables)
        })?;
        Ok(Self {
            layout,
            ipvs,
            ipset,
            nftables: nftables.map(|client| Nftables::new(client, version >= OWNED_AND_PERSISTENT)),
            links: dummy_link::Client::open()
                .map_err(OpenError::Links)?
                .with_address_protocol(links::MARK),
            renamed: BTreeSet::new(),
            ipv6: match rules {
                Need::Required => v6.is_some(),
                _ => has_ipv6,
            },
            rules: PerFamily { v4, v6 },
            unread_rules: None,
            lacks_rules: None,
            watch: Watch::open(),
            version,
            link: link_name(),
            sysctls: PathBuf::from(SYSCTLS),
        })
    }

    /// Waits a minute for a tool of iptables, and does not do without what it reads: for a command that has nothing to do
    /// meanwhile, on a machine with many rules or with little time for them.
    #[must_use]
    pub fn for_a_command(mut self) -> Self {
        self.lacks_rules = None;
        self.with_patience(Duration::from_secs(60))
    }

    /// Waits so long for a tool of iptables, and gives it that time; 2 s and 10 s unless set. For machines on which tools
    /// are slow.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        let PerFamily { v4, v6 } = &mut self.rules;
        for rules in v4.iter_mut().chain(v6) {
            rules.set_patience(patience);
        }
        self
    }

    /// Takes what another layout needs, from now on, and keeps what both need. Where that cannot be opened, all stays as it
    /// is.
    ///
    /// What the layout before has made is still seen, so that the next plan removes it, after it has made what this one
    /// needs.
    ///
    /// # Errors
    ///
    /// [`OpenError`] with the part that is missing and what to do about it.
    pub fn switch_to(&mut self, layout: Layout) -> Result<(), OpenError> {
        let mut next = Self::open_for(layout)?;
        // The owner of the proxy's tables stays the same, and tools that were found need not be looked for again.
        if self.nftables.is_some() {
            next.nftables = self.nftables.take();
        }
        if self.ipvs.is_some() {
            next.ipvs = self.ipvs.take();
        }
        if self.ipset.is_some() {
            next.ipset = self.ipset.take();
        }
        for family in Family::ALL {
            if self.rules.get(family).is_some() {
                *next.rules.get_mut(family) = self.rules.get_mut(family).take();
            }
        }
        if self.lacks_rules.is_some() {
            next = next.without_waiting_for_rules();
        }
        *self = next;
        Ok(())
    }
}

/// Has the kernel load IPVS, if it has not.
///
/// # Errors
///
/// [`OpenError`] with why it could not.
pub fn load_ipvs() -> Result<(), OpenError> {
    let modules = Modules::of_running_kernel().map_err(OpenError::Release)?;
    open_ipvs(&modules).map(drop)
}

/// The family is resolved by name; a kernel that does not know it may only lack the module.
fn open_ipvs(modules: &Modules) -> Result<ipvs_netlink::Client, OpenError> {
    ipvs_netlink::Client::open().or_else(|first| {
        let module = "ip_vs".parse().map_err(OpenError::Release)?;
        match modules.load(&module) {
            Ok(_) => ipvs_netlink::Client::open().map_err(OpenError::Ipvs),
            Err(error) => Err(OpenError::NoIpvs {
                netlink: Box::new(first),
                module: Box::new(error),
            }),
        }
    })
}

/// IPVS, if this process may use it: in a user namespace root may use iptables alone, and IPVS is nothing to it.
fn open_usable_ipvs() -> Result<ipvs_netlink::Client, OpenError> {
    let mut client = ipvs_netlink::Client::open().map_err(OpenError::Ipvs)?;
    client.info().map_err(OpenError::Ipvs)?;
    Ok(client)
}

#[allow(clippy::expect_used, reason = "a constant name; a test makes it")]
fn link_name() -> LinkName {
    LINK.parse().expect("a valid link name")
}
