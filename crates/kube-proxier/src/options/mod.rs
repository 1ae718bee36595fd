//! What the process was asked to do: flags, configuration file and environment, as one value.

mod commands;
mod conntrack;
mod effective;
mod flags;
mod servers;
mod settings;
mod sources;
mod unused;
mod watch;
mod write;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, FromArgMatches};
use proxier::Config;
use proxier_manifest::{ConfigError, FieldError};
use serde_json::Value;

pub use commands::{Command, DoctorOutput, ExplainArgs, TopArgs};
pub use flags::Flags;
pub use watch::ConfigWatch;
pub use write::write_file;

use self::sources::{Notices, from_bytes, from_file, from_flags};
use crate::config::{ConfigReading, Logging, Process};
use crate::layout::LayoutChoice;

/// How many Service ports have their traffic in metrics of their own, if no flag says: ten series each.
const SERVICE_METRICS_LIMIT: usize = 200;

/// How to run, from flags, configuration file and environment, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What to do.
    pub action: Action,
    /// How Services are programmed. Its `hostname_override` is [`Options::node_name`] if anything set one.
    pub config: Config,
    /// Which layout was asked for; where none was, that of `config` is the default one.
    pub layout: LayoutChoice,
    /// Why the layout of `config` is programmed, once that was found out.
    pub layout_reason: Option<Box<str>>,
    /// How the process runs. An address of `None` is not served on.
    pub process: Process,
    /// The name of this machine's Node: as set, or the host name; trimmed, in lower case.
    pub node_name: Box<str>,
    /// The API server's URL, which overrides the kubeconfig's.
    pub master: Option<Box<str>>,
    /// The configuration file, if there is one: what [`ConfigWatch`] watches.
    pub config_file: Option<PathBuf>,
    /// How many Service ports have their traffic in metrics of their own.
    pub service_metrics_limit: usize,
    /// What the user should know of how flags, file and environment were taken, to be logged as warnings.
    pub warnings: Vec<String>,
    /// What is worth a line in the log at start.
    pub notes: Vec<String>,
}

/// What the process was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Proxy until a signal ends it.
    Run,
    /// Remove all that is the proxy's.
    Cleanup,
    /// Do what needs root, and no more.
    InitOnly,
    /// Write the effective configuration to a file ([`Options::effective_yaml`]).
    WriteConfig(PathBuf),
    /// Check the machine.
    Doctor(DoctorOutput),
    /// Explain why something is served, or not.
    Explain(Box<ExplainArgs>),
    /// Show the busiest Services and endpoints.
    Top(Box<TopArgs>),
}

/// Why options could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is wrong, or asked for help or the version: [`clap::Error::exit`] knows which.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// The configuration file cannot be read.
    #[error("--config: {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file or the flags hold invalid values: all of them, one per line.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The host name cannot be had, and nothing else names the Node.
    #[error(
        "this machine's host name cannot be read ({0}); name the Node with --hostname-override"
    )]
    HostName(io::Error),
}

/// What options are made of besides the command line.
pub trait Surroundings {
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
    /// This machine's host name.
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    fn host_name(&self) -> io::Result<String>;
}

/// Those of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisProcess;

impl Surroundings for ThisProcess {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn host_name(&self) -> io::Result<String> {
        fs::read_to_string("/proc/sys/kernel/hostname")
    }
}

impl Flags {
    /// Reads a command line, its first word the program's name.
    ///
    /// # Errors
    /// [`clap::Error`], which also stands for `--help` and `--version`.
    pub fn read(args: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Self, clap::Error> {
        // Flags are the same before and after `doctor`, and with `_` for `-`, as pflag has it.
        let command = Self::command().mut_args(|arg| arg.global(true));
        let matches =
            command.try_get_matches_from(args.into_iter().map(|arg| hyphens(arg.into())))?;
        Self::from_arg_matches(&matches)
    }
}

fn hyphens(arg: OsString) -> OsString {
    let Some(text) = arg.to_str().filter(|text| text.starts_with("--")) else {
        return arg;
    };
    match text.split_once('=') {
        Some((name, value)) => format!("{}={value}", name.replace('_', "-")).into(),
        None => text.replace('_', "-").into(),
    }
}

impl Options {
    /// Options of a command line: reads the configuration file, if one is named.
    ///
    /// # Errors
    /// [`Error`], with all that is wrong with the configuration at once.
    pub fn read(flags: Flags, around: &impl Surroundings) -> Result<Self, Error> {
        let mut notices = Notices::default();
        let config_file = flags.process.config.clone();
        let reading = match &config_file {
            Some(path) => from_file(path, &flags, &mut notices)?,
            None => from_flags(&flags, around, &mut notices)?,
        };
        Self::finish(flags, reading, notices, around)
    }

    /// The same, of a configuration file whose content is at hand.
    fn reread(
        flags: Flags,
        path: &Path,
        bytes: &[u8],
        around: &impl Surroundings,
    ) -> Result<Self, Error> {
        let mut notices = Notices::default();
        let reading = from_bytes(path, bytes, &flags, &mut notices)?;
        Self::finish(flags, reading, notices, around)
    }

    fn finish(
        flags: Flags,
        reading: ConfigReading,
        mut notices: Notices,
        around: &impl Surroundings,
    ) -> Result<Self, Error> {
        let ConfigReading {
            mut config,
            mut process,
            layout,
            names_mode,
            unused,
            warnings,
        } = reading;
        notices.warnings.extend(warnings);
        let layout = flags.process.layout.unwrap_or(layout);
        if config.layout.uses_ipvs() {
            config.layout = layout.named().unwrap_or_default();
        }
        config.remove_foreign_servers = flags.process.remove_foreign_servers == Some(true);
        config.check().map_err(|invalid| {
            let error = FieldError::new(invalid.field, invalid.reason);
            ConfigError::new(notices.source.as_str(), [error])
        })?;
        if let Some(name) = &flags.process.hostname_override {
            config.hostname_override = Some(node_name(name, "--hostname-override")?);
        }
        let node_name = match &config.hostname_override {
            Some(name) => name.clone(),
            None => node_name(
                &around.host_name().map_err(Error::HostName)?,
                "the host name",
            )?,
        };
        let logging = Logging {
            format: flags.logs.logging_format.unwrap_or(process.logging.format),
            verbosity: flags.logs.v.unwrap_or(process.logging.verbosity),
        };
        process.logging = logging;
        if process.feature_gates.get("SupportIPVSProxyMode") == Some(&false) {
            notices.warnings.push(
                "feature gate SupportIPVSProxyMode=false has no effect: it is always on".to_owned(),
            );
        }
        if !names_mode && !notices.mode_from_environment {
            notices.notes.push(
                "no proxy mode is set; kube-proxy would take iptables, this is ipvs".to_owned(),
            );
        }
        // The layout that `auto` comes to is not known yet.
        let is_chosen = layout.named().is_some() && config.layout.has_ipset();
        if is_chosen && config.localhost_node_ports == Some(true) {
            notices.notes.push(
                "iptables.localhostNodePorts has an effect in layout nftables and in iptables mode only"
                    .to_owned(),
            );
        }
        let (missed, without_effect) = flags.unused.notices(flags.process.config.is_some());
        notices.warnings.extend(missed);
        notices.notes.extend(without_effect);
        if !unused.is_empty() {
            notices.notes.push(format!(
                "{}: without effect in this proxy: {}",
                notices.source,
                unused.join(", ")
            ));
        }
        Ok(Self {
            action: action(&flags),
            config,
            layout,
            layout_reason: None,
            process,
            node_name,
            master: flags.api.master.map(String::into_boxed_str),
            config_file: flags.process.config,
            service_metrics_limit: flags
                .process
                .service_metrics_limit
                .unwrap_or(SERVICE_METRICS_LIMIT),
            warnings: notices.warnings,
            notes: notices.notes,
        })
    }

    /// The configuration that is in force, defaults included, as a `KubeProxyConfiguration` in YAML: what
    /// `--write-config-to` writes.
    ///
    /// # Errors
    /// [`io::Error`] if a value has no form in YAML.
    pub fn effective_yaml(&self) -> io::Result<String> {
        serde_saphyr::to_string(&self.effective()).map_err(io::Error::other)
    }

    /// The same as a value.
    #[must_use]
    pub fn effective(&self) -> Value {
        effective::value(&self.config, self.layout, &self.process)
    }
}

fn action(flags: &Flags) -> Action {
    let process = &flags.process;
    match (&flags.command, &process.write_config_to) {
        (Some(Command::Doctor { output }), _) => Action::Doctor(*output),
        (Some(Command::Explain(args)), _) => Action::Explain(Box::new(args.clone())),
        (Some(Command::Top(args)), _) => Action::Top(Box::new(args.clone())),
        (None, Some(path)) => Action::WriteConfig(path.clone()),
        _ if process.cleanup == Some(true) => Action::Cleanup,
        _ if process.init_only == Some(true) => Action::InitOnly,
        _ => Action::Run,
    }
}

/// As kube-proxy takes it.
fn node_name(text: &str, what: &str) -> Result<Box<str>, ConfigError> {
    let name = text.trim().to_lowercase();
    if name.is_empty() {
        let error = FieldError::new("", "is empty, and so names no Node");
        return Err(ConfigError::new(what, [error]));
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests;
