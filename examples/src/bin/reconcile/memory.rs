//! A node that is only described.

use std::path::Path;

use dummy_link::{LinkName, NodeLinks, host_address};
use examples::reconcile::{Target, host_name, read, shown};
use proxier::cluster::{Cluster, Host};
use proxier::{Config, Kernel, KernelError, MemoryKernel};

/// A kernel in memory, and the machine that it runs on.
pub(crate) struct Memory {
    pub(crate) kernel: MemoryKernel,
    pub(crate) host: HostInput,
}

impl Target for Memory {
    const REAL: bool = false;

    fn kernel(&mut self) -> &mut dyn Kernel {
        &mut self.kernel
    }

    fn node_name(&self, cluster: &Cluster, config: &Config) -> Box<str> {
        HostInput::name_of(cluster, config)
    }

    fn host(&mut self, cluster: &Cluster, config: &Config) -> Result<Host, KernelError> {
        Ok(self.host.of(cluster, config))
    }
}

/// What is known of the machine apart from the cluster.
pub(crate) struct HostInput {
    links: Option<NodeLinks>,
}

impl HostInput {
    /// Reads the links, where a file of them is named.
    pub(crate) fn read(links: Option<&Path>) -> Result<Self, String> {
        let links = links.map(|path| {
            let links = proxier_manifest::read_links(&shown(path), &read(path)?);
            links.map_err(|error| error.to_string())
        });
        let links = links.transpose()?;
        Ok(Self { links })
    }

    /// The name of the machine's Node: as configured, or that of the only Node, or the host name.
    pub(crate) fn name_of(cluster: &Cluster, config: &Config) -> Box<str> {
        let mut names = cluster.nodes.keys();
        let only = names.next().filter(|_| names.next().is_none());
        let name = config.hostname_override.as_ref().or(only);
        name.cloned().unwrap_or_else(host_name)
    }

    /// The machine.
    pub(crate) fn of(&self, cluster: &Cluster, config: &Config) -> Host {
        let mut host = Host::new(Self::name_of(cluster, config));
        host.links = match &self.links {
            Some(links) => links.clone(),
            None => node_links(cluster, &host.node_name),
        };
        host
    }
}

/// The addresses that the Node is known by, on a link made up for them.
fn node_links(cluster: &Cluster, name: &str) -> NodeLinks {
    let addresses = cluster
        .nodes
        .get(name)
        .map(|node| node.addresses.as_slice());
    let link = LinkName::new("eth0").ok();
    let addresses = addresses
        .into_iter()
        .flatten()
        .map(|address| host_address(*address));
    addresses
        .filter_map(|address| Some((link?, address)))
        .collect()
}
