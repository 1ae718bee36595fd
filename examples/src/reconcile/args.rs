//! The part of the command line that both programs have.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use proxier::Config;
use proxier_manifest::{ConfigDocument, FieldErrors};

use super::{Result, complain, read, shown};

/// How the proxy is configured, and what is shown.
#[derive(Debug, Args)]
pub struct Options {
    /// A KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1) [default: an empty one].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The proxy mode [default: that of the configuration; else ipvs].
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,

    /// Whose chains and sets are written in ipvs mode.
    #[arg(long, value_enum, default_value_t = Layout::Current)]
    pub layout: Layout,

    /// Remove virtual servers that are not recognized as the proxy's, as kube-proxy does, unless ipvs.excludeCIDRs has
    /// their addresses.
    #[arg(long)]
    pub remove_foreign_servers: bool,

    /// What is shown.
    #[arg(long, value_enum, default_value_t = Output::Text, value_name = "FORM")]
    pub output: Output,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The plans and the state they lead to, for people.
    Text,
    /// The state they lead to, as ipvsadm, ipset and iptables-save print it, as JSON.
    Json,
    /// The plans alone, each line with the Service that it is for.
    Plan,
    /// The Services and what became of each, on one screen, with warnings at its end.
    Summary,
}

/// The proxy mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Virtual servers of IPVS, with sets and a few rules.
    Ipvs,
    /// Rules for each Service and endpoint.
    Iptables,
}

/// Whose chains and sets are written in ipvs mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// Those of kube-proxy v1.36: packets are refused in the filter table.
    Current,
    /// Those of the first kube-proxies with an ipvs mode, up to v1.20.
    Classic,
    /// A table of nf_tables and routing by mark: no address is bound, and neither iptables nor ipset is used.
    Nftables,
}

impl From<Layout> for proxier::Layout {
    fn from(layout: Layout) -> Self {
        match layout {
            Layout::Current => Self::Current,
            Layout::Classic => Self::Classic,
            Layout::Nftables => Self::Nftables,
        }
    }
}

impl Options {
    /// The configuration, of the node whose Node object has this name: by the options, the file, or by default.
    ///
    /// # Errors
    /// It cannot be used: with the file, the field, and why.
    pub fn config(&self, node: Option<&str>) -> Result<Config> {
        let mut config = self
            .config
            .as_deref()
            .map_or_else(|| Ok(Config::default()), read_config)?;
        config.layout = self.layout(config.layout);
        config.remove_foreign_servers = self.remove_foreign_servers;
        if let Some(name) = node {
            let name = name.trim().to_lowercase();
            if name.is_empty() {
                return Err("--hostname-override is blank; give it the name of a Node".into());
            }
            config.hostname_override = Some(name.into());
        }
        config.check()?;
        Ok(config)
    }

    /// The layout that is asked for, where the configuration asks for this one.
    fn layout(&self, configured: proxier::Layout) -> proxier::Layout {
        let iptables = match self.mode {
            Some(mode) => mode == Mode::Iptables,
            None => configured == proxier::Layout::Iptables,
        };
        if iptables {
            proxier::Layout::Iptables
        } else {
            self.layout.into()
        }
    }
}

fn read_config(path: &Path) -> Result<Config> {
    let document = ConfigDocument::read(&shown(path), &read(path)?)?;
    for warning in &document.warnings {
        complain(&format!("warning: {}: {warning}", document.source));
    }
    let mut errors = FieldErrors::default();
    let config = document.config(&mut errors);
    Ok(document.conclude(config, errors)?)
}
