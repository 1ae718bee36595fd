//! `kube-proxier top`: the busiest Services and endpoints of this node, again and again.
//!
//! IPVS counts and estimates; here its tables are read, and names are put to addresses. The names come from the cluster, which
//! is followed as the daemon does it, through an engine as the daemon has it: so marks of layout `nftables` are the same
//! marks. No daemon is asked, and none need run. Nothing is changed.

mod print;
mod sample;
mod terminal;

use std::future::pending;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use ipvs_netlink::client::Reason;
use ipvs_netlink::{Client, Statistics, TableEntry};
use proxier::cluster::Change;
use proxier::{Engine, KernelError};
use proxier_linux::OpenError;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::print::Head;
use self::sample::Sample;
pub use self::sample::SortBy;
use self::terminal::{Screen, keys, size};
use crate::cluster::{self, ClusterError, EVENTS, KnownCluster, LISTS, Listed};
use crate::daemon;
use crate::event::Event;
use crate::machine::Machine as _;
use crate::options::{DoctorOutput, Options, TopArgs};
use crate::traffic::Names;

/// How many Services, and how many endpoints, are printed when the output is not a terminal.
const LINES: usize = 20;
/// The width of such lines, in columns.
const WIDTH: usize = 132;

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopError {
    /// This machine's kernel cannot be read.
    #[error("cannot read the state of this node: {0} (`kube-proxier doctor` shows all checks)")]
    Machine(#[from] OpenError),
    /// A part of its state cannot be read.
    #[error("cannot read the state of this node: {0}")]
    Kernel(#[from] KernelError),
    /// IPVS cannot be read.
    #[error("cannot read the statistics of IPVS: {0}")]
    Ipvs(#[from] ipvs_netlink::Error),
    /// The cluster cannot be had.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// iptables mode counts nothing by Service.
    #[error("in iptables mode the kernel counts nothing by Service: there is nothing to show")]
    IptablesMode,
    /// The system gave no means to wait, or what is shown cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Shows what this node's IPVS carries, until it is interrupted or, with `--once`, once.
///
/// # Errors
///
/// [`TopError`] where the cluster or the kernel cannot be read, or `out` cannot be written.
pub fn top(options: &Options, args: &TopArgs, out: &mut dyn Write) -> Result<(), TopError> {
    let (options, machine) = daemon::open(options.clone());
    if !options.config.layout.uses_ipvs() {
        return Err(TopError::IptablesMode);
    }
    let host = machine?.host(&options.node_name)?;
    let mut view = View {
        engine: Engine::new(host, options.config.clone()),
        listed: Listed::default(),
        names: None,
        ipvs: Client::open()?,
        node: options.node_name.clone(),
        sort: args.sort,
        args,
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let shown = runtime.block_on(async {
        let (events, received) = mpsc::channel(EVENTS);
        let Some(path) = &args.manifests else {
            let client = cluster::client(&options)
                .await
                .map_err(ClusterError::from)?;
            return tokio::select! {
                () = cluster::follow(client, &options, events) => Ok(()),
                shown = view.show(received, out) => shown,
            };
        };
        view.know(KnownCluster::in_file(path)?);
        let shown = view.show(received, out).await;
        drop(events);
        shown
    });
    // A command that gives credentials, and hangs, is not waited for.
    runtime.shutdown_background();
    shown
}

/// What is shown.
struct View<'a> {
    /// Says which virtual servers are of which Service. It plans, and nothing of that is carried out.
    engine: Engine,
    listed: Listed,
    /// Until the cluster changes.
    names: Option<Names>,
    ipvs: Client,
    node: Box<str>,
    sort: SortBy,
    args: &'a TopArgs,
}

impl View<'_> {
    /// The cluster is this, from here on.
    fn know(&mut self, known: KnownCluster) {
        let cluster = known.cluster;
        for change in [
            Change::Services(cluster.services.into_values().collect()),
            Change::Slices(cluster.slices.into_values().collect()),
            Change::Nodes(cluster.nodes.into_values().collect()),
        ] {
            self.change(change);
        }
    }

    fn change(&mut self, change: Change) {
        self.listed.note(&change);
        self.engine.change(change);
        self.names = None;
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Cluster { change, .. } => self.change(change),
            Event::ApiServers(addresses) => {
                let mut host = self.engine.host().clone();
                host.api_servers = addresses;
                if self.engine.set_host(host) {
                    self.names = None;
                }
            }
            _ => {}
        }
    }

    /// Shows it: on a screen of its own where stdout is a terminal, else one after the other.
    async fn show(
        &mut self,
        mut events: mpsc::Receiver<Event>,
        out: &mut dyn Write,
    ) -> Result<(), TopError> {
        let mut signals = Signals::new()?;
        let on_screen =
            !self.args.once && self.args.output == DoctorOutput::Text && size().is_some();
        if !on_screen {
            // What is printed stays, so it should have its names.
            let deadline = Instant::now() + LISTS;
            while !self.listed.all() {
                tokio::select! {
                    event = events.recv() => match event {
                        Some(event) => self.take(event),
                        None => break,
                    },
                    () = sleep_until(deadline) => break,
                    () = signals.any() => return Ok(()),
                }
            }
        }
        let mut screen = match on_screen {
            true => Some(Screen::take(io::stdout())?),
            false => None,
        };
        let mut keys = match on_screen {
            true => keys(),
            false => mpsc::channel(1).1,
        };
        let mut ticks = interval(self.args.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = signals.any() => return Ok(()),
                Some(key) = keys.recv() => match key {
                    b'q' => return Ok(()),
                    key => match sorted_by(key) {
                        Some(sort) => {
                            self.sort = sort;
                            ticks.reset_immediately();
                        }
                        None => continue,
                    },
                },
                _ = ticks.tick() => match &mut screen {
                    Some(screen) => screen.draw(&self.lines(size())?)?,
                    None => {
                        self.print(out)?;
                        if self.args.once {
                            return Ok(());
                        }
                    }
                },
                event = receive(&mut events) => self.take(event),
            }
        }
    }

    fn print(&mut self, out: &mut dyn Write) -> Result<(), TopError> {
        match self.args.output {
            DoctorOutput::Json => {
                let rows = self.args.rows.unwrap_or(usize::MAX);
                let sample = self.sample()?.cut(rows, rows);
                let head = Head {
                    time: now(),
                    node: &self.node,
                    named: self.listed.all(),
                };
                let json = print::json(&head, &sample);
                writeln!(out, "{json}")?;
            }
            DoctorOutput::Text => {
                for line in self.lines(None)? {
                    writeln!(out, "{}", anstream::adapter::strip_str(&line))?;
                }
                if !self.args.once {
                    writeln!(out)?;
                }
            }
        }
        Ok(out.flush()?)
    }

    /// The lines of a moment: as many as the terminal has, if that is known.
    fn lines(&mut self, size: Option<(usize, usize)>) -> Result<Vec<String>, TopError> {
        let sample = self.sample()?;
        let counts = format!(
            "{} Service ports with traffic, {} endpoints",
            sample.services.len(),
            sample.endpoints.len()
        );
        let (width, services, endpoints) = match (size, self.args.rows) {
            (size, Some(rows)) => (size.map_or(WIDTH, |(width, _)| width), rows, rows),
            (None, None) => (WIDTH, LINES, LINES),
            (Some((width, height)), None) => {
                // Two lines of the head, and the heads of the columns.
                let rows = height.saturating_sub(4);
                let services = sample.services.len().min(rows / 2);
                (width, services, rows - services)
            }
        };
        let names = match self.listed.all() {
            true => "",
            false => "; the API server has not listed the cluster yet: names are missing",
        };
        let mut lines = vec![
            format!(
                "kube-proxier top, {}, {}, layout {}: {counts}",
                proxier_manifest::printable(&self.node),
                now(),
                self.engine.config().layout.as_str()
            ),
            match size {
                Some(_) => format!(
                    "per second as IPVS estimates it, by {}; keys: c, p, b, a, n sort, q quits{names}",
                    self.sort.as_str()
                ),
                None => format!(
                    "per second as IPVS estimates it, by {}{names}",
                    self.sort.as_str()
                ),
            },
        ];
        for line in &mut lines {
            *line = line.chars().take(width).collect();
        }
        lines.extend(print::lines(&sample.cut(services, endpoints), width));
        if let Some((_, height)) = size {
            lines.truncate(height);
        }
        Ok(lines)
    }

    fn sample(&mut self) -> Result<Sample, TopError> {
        if self.names.is_none() {
            // Makes the engine know what is wanted.
            self.engine.plan();
        }
        let names = self.names.get_or_insert_with(|| Names::of(&self.engine));
        let table = read(&mut self.ipvs)?;
        let namespace = self.args.namespace.as_deref();
        Ok(Sample::of(names, &table, namespace, self.sort))
    }
}

/// The virtual servers that were ever sent anything, with their destinations. The others take no system calls each.
fn read(ipvs: &mut Client) -> ipvs_netlink::Result<Vec<TableEntry>> {
    let mut table = Vec::new();
    for server in ipvs.services()? {
        if server.statistics == Statistics::default() {
            continue;
        }
        let destinations = match ipvs.destinations(server.id) {
            Ok(destinations) => destinations,
            // It went meanwhile.
            Err(ipvs_netlink::Error::Refused(refusal))
                if refusal.reason() == Reason::NoSuchService =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        table.push(TableEntry::new(server, destinations));
    }
    Ok(table)
}

/// Never, once nobody sends any more.
async fn receive(events: &mut mpsc::Receiver<Event>) -> Event {
    match events.recv().await {
        Some(event) => event,
        None => pending().await,
    }
}

fn sorted_by(key: u8) -> Option<SortBy> {
    match key {
        b'c' => Some(SortBy::Connections),
        b'p' => Some(SortBy::Packets),
        b'b' => Some(SortBy::Bytes),
        b'a' => Some(SortBy::Active),
        b'n' => Some(SortBy::Name),
        _ => None,
    }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// The signals that end it, with the terminal as it was.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// The shortest interval: IPVS brings its estimates up to date every two seconds.
pub(crate) const SHORTEST: Duration = Duration::from_millis(100);
