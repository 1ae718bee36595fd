//! The files named on the command line.

use std::fs;
use std::io::Read;
use std::path::Path;

use dummy_link::{LinkName, NodeLinks, host_address};
use proxier::cluster::{Cluster, Host};
use proxier::{Config, KernelError, Observed};
use proxier_linux::LinuxKernel;
use proxier_manifest::{ConfigDocument, FieldErrors, Manifests, Snapshot, printable};

use crate::args::Args;

/// How large a file may be.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// All that was read.
pub(crate) struct Inputs {
    pub(crate) config: Config,
    pub(crate) found: Option<Observed>,
    pub(crate) steps: Vec<Step>,
    pub(crate) host: HostInput,
}

/// A file of objects.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) manifests: Manifests,
}

/// What is known of the machine apart from the cluster.
pub(crate) struct HostInput {
    links: Option<NodeLinks>,
}

impl Inputs {
    /// Reads everything. An error names the file, the place in it, and what is wrong there.
    pub(crate) fn read(args: &Args) -> Result<Self, String> {
        let mut config = match &args.config {
            Some(path) => {
                let document = ConfigDocument::read(&shown(path), &read(path)?)
                    .map_err(|error| error.to_string())?;
                for warning in &document.warnings {
                    crate::complain(&format!("warning: {}: {warning}", document.source));
                }
                let mut errors = FieldErrors::default();
                let config = document.config(&mut errors);
                document
                    .conclude(config, errors)
                    .map_err(|error| error.to_string())?
            }
            None => Config::default(),
        };
        config.layout = args.layout(config.layout);
        config.remove_foreign_servers = args.remove_foreign_servers;
        if let Some(name) = &args.hostname_override {
            let name = name.trim().to_lowercase();
            if name.is_empty() {
                return Err("--hostname-override is blank; give it the name of a Node".to_owned());
            }
            config.hostname_override = Some(name.into());
        }
        config.check().map_err(|error| error.to_string())?;
        let links = match &args.node {
            Some(path) => {
                let links = proxier_manifest::read_links(&shown(path), &read(path)?);
                Some(links.map_err(|error| error.to_string())?)
            }
            None => None,
        };
        let found = args.found.as_deref().map(read_found).transpose()?;
        let steps = if args.cleanup {
            Vec::new()
        } else if args.steps.is_empty() {
            vec![built_in()]
        } else {
            args.steps
                .iter()
                .map(|path| read_step(path))
                .collect::<Result<_, _>>()?
        };
        Ok(Self {
            config,
            found,
            steps,
            host: HostInput { links },
        })
    }
}

impl HostInput {
    /// This very machine, described by its kernel.
    pub(crate) fn here(config: &Config, kernel: &mut LinuxKernel) -> Result<Host, KernelError> {
        kernel.host(config.hostname_override.clone().unwrap_or_else(host_name))
    }

    /// The name of this very machine's Node: as configured, or the host name.
    pub(crate) fn name_here(config: &Config) -> Box<str> {
        config.hostname_override.clone().unwrap_or_else(host_name)
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

fn host_name() -> Box<str> {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .unwrap_or_default()
        .trim()
        .to_lowercase()
        .into()
}

fn built_in() -> Step {
    let name = "built-in cluster".to_owned();
    let manifests =
        proxier_manifest::read_cluster(&name, include_bytes!("../../../data/cluster.yaml"));
    Step { name, manifests }
}

fn read_step(path: &Path) -> Result<Step, String> {
    let name = shown(path);
    let manifests = proxier_manifest::read_cluster(&name, &read(path)?);
    Ok(Step { name, manifests })
}

fn read_found(path: &Path) -> Result<Observed, String> {
    let at = |error: String| format!("{}: {}", shown(path), printable(&error));
    let snapshot: Snapshot =
        serde_json::from_slice(&read(path)?).map_err(|error| at(error.to_string()))?;
    snapshot.state().map_err(|error| at(error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let limit = MAX_FILE_BYTES + 1;
    fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("{}: {error}", shown(path)))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length < limit) {
        Ok(bytes)
    } else {
        Err(format!("{}: is larger than 1 GiB", shown(path)))
    }
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}
