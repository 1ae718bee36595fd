//! Carries out the plans of `proxier` on this machine's kernel: IPVS, ipset, links and addresses by netlink, rules by
//! `iptables-restore`, settings under `/proc/sys`.
//!
//! A tool that hangs is killed after 10 s and keeps only its own rules waiting.

mod error;
mod flows;
mod links;
mod needs;
mod nftables;
mod observe;
mod perform;
mod restore;
mod rules;
mod signs;
mod sockets;
mod sockopt;
mod tools;
mod traces;

pub use error::conntrack_error;
pub use flows::stale_flows;
pub use nftables::probe as probe_nftables;
pub use signs::Signs;
pub use sockets::addresses_in_use;
pub use traces::Traces;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dummy_link::LinkName;
use ipset_netlink::SetName;
use iptables_restore::Tools;
use ipvs_netlink::VirtualServerId;
use kmod_probe::{KernelVersion, Modules};

use crate::needs::{Need, Needs};
use crate::nftables::Nftables;
use crate::rules::Rules;
use crate::signs::Watch;
use proxier::LINK;
use proxier::cluster::{Family, Host, PerFamily};
use proxier::kernel::{Applied, carry_out};
use proxier::{Kernel, KernelError};
use proxier::{Layout, Plan};
use proxier::{Observed, ObservedServer};

/// The first kernel on which a table can be kept from others (`NFT_TABLE_F_OWNER`) and yet outlive its owner
/// (`NFT_TABLE_F_PERSIST`).
const OWNED_AND_PERSISTENT: KernelVersion = KernelVersion::new(6, 9, 0);

/// Where the kernel shows its settings.
const SYSCTLS: &str = "/proc/sys";

/// The kernel of this machine, in the network namespace that the calling thread is in when it is opened:
/// IPVS, ipset, links and addresses by netlink, rules by `iptables-restore`, settings under `/proc/sys`.
///
/// Where the kernel has no IPv6, or there is no ip6tables, it is one of IPv4 alone, and its [`Host`] says so.
///
/// Needs CAP_NET_ADMIN. Many operations go to the kernel in one system call; each has its own result.
pub struct LinuxKernel {
    layout: Layout,
    /// None in iptables mode where the kernel has none.
    ipvs: Option<ipvs_netlink::Client>,
    /// None where the layout does without and the kernel has none.
    ipset: Option<ipset_netlink::Client>,
    /// None where the kernel has none.
    nftables: Option<Nftables>,
    links: dummy_link::Client,
    /// Whether the kernel has IPv6, and tools for it if the layout takes any.
    ipv6: bool,
    /// `None` for a family without tools: IPv6 where the kernel lacks it, or both in a layout that needs no iptables.
    rules: PerFamily<Option<Rules>>,
    /// Why the last observation holds rules that were not read.
    unread_rules: Option<KernelError>,
    /// Whether the last observation lacks the rules of a family, since they have never been read. `None` where that is an
    /// error.
    lacks_rules: Option<PerFamily<bool>>,
    watch: Watch,
    /// Links that have addresses which were bound to ours.
    renamed: BTreeSet<LinkName>,
    version: KernelVersion,
    link: LinkName,
    /// `/proc/sys`.
    sysctls: PathBuf,
}

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
        let v4 = rules.open(traces.rules.v4, || tools::rules(Family::V4, deadline))?;
        let v6 = rules.open(traces.rules.v6, || {
            tools::rules_of_ipv6(Path::new(SYSCTLS), deadline)
        })?;
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
                _ => tools::has_ipv6(Path::new(SYSCTLS)),
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

    /// Nothing of other layouts is left: closes what only they need, so that no tool is run any more.
    pub fn release_unneeded(&mut self) {
        if self.layout == Layout::Nftables {
            self.ipset = None;
            self.rules = PerFamily { v4: None, v6: None };
        }
        if self.layout == Layout::Iptables {
            self.ipvs = None;
            self.ipset = None;
            self.nftables = None;
        }
    }

    /// The same without ipset and the iptables tools, whether or not they are there: what another layout has left is not
    /// found, and no program is run.
    #[must_use]
    pub fn without_tools(mut self) -> Self {
        self.ipset = None;
        self.rules = PerFamily { v4: None, v6: None };
        self.ipv6 = tools::has_ipv6(&self.sysctls);
        self
    }

    /// The same, but where tools hang from the start on, everything else is observed and changed: [`observe`](Kernel::observe)
    /// gives no rules then instead of an error, [`unread_rules`](Self::unread_rules) says why, and
    /// [`lacks_rules`](Self::lacks_rules) of which family. Rules are not changed until they are read.
    #[must_use]
    pub const fn without_waiting_for_rules(mut self) -> Self {
        self.lacks_rules = Some(PerFamily {
            v4: false,
            v6: false,
        });
        self
    }

    /// The port of the socket by which tables of nf_tables are changed, as notifications name it.
    #[must_use]
    pub fn nftables_port(&self) -> Option<u32> {
        self.nftables.as_ref().map(Nftables::port)
    }

    /// The iptables of each family. None for IPv6 where there is none, and for both while they hang as they are looked for.
    #[must_use]
    pub fn tools(&self) -> PerFamily<Option<&Tools>> {
        PerFamily::from_fn(|family| self.rules.get(family).as_ref().and_then(Rules::tools))
    }

    /// Links that were kube-ipvs0 until somebody renamed them, found when the [host](Self::host) was last read: the addresses
    /// that were bound there do not count as the node's. Before Linux 5.18 none is found.
    #[must_use]
    pub const fn renamed_links(&self) -> &BTreeSet<LinkName> {
        &self.renamed
    }

    /// Why the last observation holds rules as they are believed to be, rather than as they are: a tool hangs. Everything
    /// else in it was read, and rules are not changed until they are read again.
    #[must_use]
    pub const fn unread_rules(&self) -> Option<&KernelError> {
        self.unread_rules.as_ref()
    }

    /// Of which families the last observation has no rules, since they have never been read.
    #[must_use]
    pub fn lacks_rules(&self) -> PerFamily<bool> {
        self.lacks_rules.unwrap_or(PerFamily {
            v4: false,
            v6: false,
        })
    }

    /// Whether rules that could not be read in time can be read now, so that it is worth while to observe the kernel again.
    /// Does not wait; to be asked every now and then while there are [unread rules](Self::unread_rules).
    pub fn rules_answered(&mut self) -> bool {
        let PerFamily { v4, v6 } = &mut self.rules;
        let mut answered = false;
        for rules in v4.iter_mut().chain(v6) {
            answered |= rules.answered();
        }
        answered
    }

    /// How many rules and sets refer to each set.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if the sets cannot be listed.
    pub fn set_references(&mut self) -> Result<BTreeMap<SetName, u32>, KernelError> {
        let Some(ipset) = &mut self.ipset else {
            return Ok(BTreeMap::new());
        };
        let infos = ipset.headers().map_err(error::failed)?;
        let references = infos.iter().filter_map(|info| {
            let references = info.usage.references?;
            Some((info.spec.name, references))
        });
        Ok(references.collect())
    }

    /// This machine, as [`translate`](proxier::translate()) wants to know it.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if its links cannot be listed.
    pub fn host(&mut self, node_name: impl Into<Box<str>>) -> Result<Host, KernelError> {
        let (links, renamed) = links::read(&mut self.links, self.link).map_err(error::failed)?;
        self.renamed = renamed;
        let PerFamily { v4, v6 } = &self.rules;
        // Of tools that hang it is not known: all that came in the last years can do it.
        let mut tools = v4.iter().chain(v6).filter_map(Rules::tools);
        let mut host = Host::new(node_name);
        host.links = links;
        host.kernel = self.version;
        // Every kernel that has what this layout needs has that too; tools are there for what others left.
        host.random_fully =
            self.layout == Layout::Nftables || tools.all(|tools| tools.features().random_fully);
        host.ipv6 = self.ipv6;
        Ok(host)
    }
}

impl Kernel for LinuxKernel {
    fn observe(&mut self) -> Result<Observed, KernelError> {
        self.read()
    }

    fn connections(
        &mut self,
        servers: &[VirtualServerId],
    ) -> Result<Vec<ObservedServer>, KernelError> {
        self.read_connections(servers)
    }

    fn apply(&mut self, plan: &Plan) -> Applied {
        carry_out(plan, perform::together, |operations| {
            self.perform_all(operations)
        })
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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
