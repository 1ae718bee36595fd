//! The process: what it starts, and what ends it.

mod once;

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use axum::Router;
use proxier::{Conflict, KernelError, Layout};
use proxier_linux::OpenError;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

pub use self::once::{clean_up, examine, initialize};
use super::config::{Conntrack, Process};
use super::doctor::Trials;
use super::fallback::Beginning;
use super::http::Introspection;
use super::layout::{self, InForce, LayoutChoice, ThisNode};
use super::machine::Machine as _;
use super::options::{ConfigWatch, Flags, Options};
use super::page::{self, Page};
use super::status::Reporter;
use super::sync::{self, Fallback, Syncer};
use super::traffic::Traffic;
use super::watch::{self, ApiError, ApiSource, NodeScope, Recorder};
use super::{
    Connections, Event, Instance, InstanceError, Stop, ThisMachine, conntrack, doctor, http,
    notices, process,
};

/// How many events may wait for the loop before the watches do.
const EVENTS: usize = 4096;
/// How long the sync in hand may take at the end. Pods have 5 s in `deploy/`.
const LAST_SYNC: Duration = Duration::from_secs(4);

/// Why the daemon cannot run, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// There is another one.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// This machine cannot be programmed.
    #[error("can't use ipvs proxier: {0} (`kube-proxier doctor` shows all checks)")]
    Machine(#[from] OpenError),
    /// The kernel cannot be looked at.
    #[error("can't use ipvs proxier: {0}")]
    Kernel(#[from] KernelError),
    /// The API server cannot be asked.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What the checks found; they have been logged.
    #[error("can't use ipvs proxier: see what was logged above, or `kube-proxier doctor`")]
    Unfit,
    /// The system gave no means to wait for events.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    /// An address cannot be served on, and the configuration makes this an error (`bindAddressHardFail`).
    #[error("{0}")]
    Serve(#[source] io::Error),
    /// Metrics cannot be had.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The loop ended, which it never should.
    #[error("the sync loop ended; the lines logged before this one have the cause")]
    Ended,
}

/// Proxies until a signal ends it (SIGTERM, SIGINT). What is programmed stays.
///
/// # Errors
///
/// [`DaemonError`] where it cannot begin, or had to end.
pub fn run(flags: Flags, as_read: Options) -> Result<(), DaemonError> {
    let _instance = Instance::claim()?;
    process::set_oom_score(as_read.process.oom_score_adj);
    let open_files = process::raise_open_files();
    // Opened first: that loads what can be loaded. Where it fails, the checks name what is missing.
    let (options, machine) = open(as_read.clone());
    if let Ok(machine) = &machine {
        machine.load_ahead(&options.config);
    }
    let Beginning {
        options,
        machine,
        checks,
        all_checked,
        fallback,
    } = Beginning::of(options, machine);
    doctor::log(&checks, machine.is_ok());
    let machine = machine?;
    if !doctor::can_run(&checks) {
        return Err(DaemonError::Unfit);
    }
    conntrack::set_up(&options.process.conntrack);
    let runtime = runtime().map_err(DaemonError::Start)?;
    let connections = Connections::new(open_files);
    let (recorder, conflicts) = Recorder::new();
    let handle = runtime.handle().clone();
    let in_force = InForce::new(&options.config, machine.nftables_port());
    let connections_of_services = connections.clone();
    let mut reporter = Reporter::new(
        &options,
        connections_of_services,
        handle,
        recorder,
        in_force.clone(),
    )?;
    let trials = Trials::default();
    if !all_checked {
        reporter.after_first_sync(doctor::rest_later(&options, trials.clone()));
    }
    let outcome = proxy(
        &runtime,
        machine,
        (reporter, conflicts),
        &in_force,
        &connections,
        ConfigWatch::new(flags, as_read),
        (&options, fallback),
    );
    runtime.shutdown_background();
    trials.end();
    outcome
}

/// The runtime of all but the loop, with the one more thread that it needs, to look names up. tokio panics where it wants
/// that thread later and cannot have it.
fn runtime() -> io::Result<Runtime> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(Duration::from_secs(u32::MAX.into()))
        .build()?;
    let trial = thread::Builder::new().spawn(|| {})?;
    // It does nothing that could panic.
    let _ = trial.join();
    let _ = runtime.block_on(runtime.spawn_blocking(|| {}));
    Ok(runtime)
}

fn proxy(
    runtime: &Runtime,
    machine: ThisMachine,
    (mut reporter, conflicts): (Reporter, mpsc::Receiver<Conflict>),
    in_force: &InForce,
    connections: &Connections,
    config_watch: Option<ConfigWatch>,
    (options, fallback): (&Options, Option<Fallback>),
) -> Result<(), DaemonError> {
    let config = options.config.clone();
    let syncer_fallback = fallback.as_ref().map(|fallback| fallback.layout);
    let iptables = machine.iptables();
    let mut syncer =
        Syncer::new(machine, &options.node_name, config, Instant::now())?.standing_in_for(fallback);
    let source = ApiSource {
        kubeconfig: options.process.kubeconfig.as_deref().map(PathBuf::from),
        master: options.master.as_deref().map(Into::into),
    };
    let client = runtime.block_on(watch::client(&source))?;
    let client = client.counting(reporter.metrics().requests().clone());
    log_start(options, client.url(), iptables.as_deref());
    let pages = Introspection::new(options.effective(), std::env::args().skip(1));
    let counters = Arc::clone(reporter.counters());
    let (events, received) = mpsc::channel(EVENTS);
    let traffic = Traffic::new(
        events.clone(),
        reporter.syncs().clone(),
        options.service_metrics_limit,
    );
    let page = Page::new(
        events.clone(),
        &options.node_name,
        reporter.health().clone(),
        Arc::clone(&counters),
        reporter.recent().clone(),
    );
    let pages_for_people = http::introspection_routes(&pages, reporter.health());
    let metrics = http::metrics_routes(reporter.metrics(), &traffic)
        .merge(pages_for_people)
        .merge(page::routes(&page));
    let servers = servers(&options.process, &reporter, metrics, connections);
    let stop = Stop::default();
    let (alive, ended) = oneshot::channel::<()>();
    let mut threads = Vec::new();
    let sync_stop = stop.clone();
    let sync = thread::Builder::new()
        .name("sync".to_owned())
        .spawn(move || {
            // Dropped however this thread ends.
            let _alive = alive;
            if let Err(error) = sync::run(&mut syncer, received, &sync_stop, &mut reporter) {
                tracing::error!(%error, "the loop cannot wait for events");
            }
        });
    threads.push(sync.map_err(DaemonError::Start)?);
    match notices::follow(events.clone(), stop.clone(), in_force.clone()) {
        Ok(thread) => threads.push(thread),
        Err(error) => tracing::warn!(
            %error,
            "cannot start the thread that receives what the kernel reports; changes of links, and what others do to layout nftables, \
             are found at the next full sync"
        ),
    }
    let node_name = options.node_name.clone();
    // Also while iptables mode stands in for it.
    let asked = syncer_fallback.unwrap_or(options.config.layout);
    let nodes = NodeScope::new(binds_addresses(asked));
    let interest = watch::Interest {
        node_name: &node_name,
        node_addresses: &nodes,
    };
    let timing = watch::Timing::default();
    let conntrack = options.process.conntrack;
    let events_of_conflicts = watch::record(client.clone(), &node_name, conflicts);
    let outcome = runtime.block_on(async {
        tokio::select! {
            stopped = until_stopped() => stopped,
            error = servers => Err(DaemonError::Serve(error)),
            () = async { events_of_conflicts.await; pending().await } => Err(DaemonError::Ended),
            () = watch::run(client, interest, timing, counters, events.clone()) => Err(DaemonError::Ended),
            () = follow_config(config_watch, conntrack, pages, events, &nodes, in_force) => Err(DaemonError::Ended),
            _ = ended => Err(DaemonError::Ended),
        }
    });
    stop.set();
    join(threads, Instant::now() + LAST_SYNC);
    outcome
}

/// What an engineer wants to know first of a log that begins here.
fn log_start(options: &Options, server: &str, iptables: Option<&str>) {
    let file = options.config_file.as_ref();
    let config = file.map_or_else(
        || "the command line".to_owned(),
        |file| file.display().to_string(),
    );
    let Options {
        config: proxy,
        process,
        ..
    } = options;
    let address = |address: Option<SocketAddr>| {
        address.map_or_else(|| "not served".to_owned(), |address| address.to_string())
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        node = &*options.node_name,
        config,
        api_server = server,
        layout = proxy.layout.as_str(),
        layout_reason = options.layout_reason.as_deref(),
        iptables,
        scheduler = %proxy.scheduler,
        sync_period = ?proxy.sync_period,
        min_sync_period = ?proxy.min_sync_period,
        health = address(process.healthz_bind_address),
        metrics = address(process.metrics_bind_address),
        "starting"
    );
}

/// Waits for threads to end. One that takes longer ends with the process: its kernel calls are each done as a whole or
/// not at all, and after any number of them the node is in working order.
fn join(threads: Vec<JoinHandle<()>>, deadline: Instant) {
    for thread in threads {
        while !thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let name = thread.thread().name().unwrap_or_default().to_owned();
        if !thread.is_finished() {
            tracing::warn!(
                "thread {name} is still busy with the last sync, which the next start completes"
            );
        } else if thread.join().is_err() {
            tracing::error!("thread {name} ended with a panic");
        }
    }
}

/// Serves health and metrics. Ends only with an error that the configuration makes fatal.
fn servers(
    process: &Process,
    reporter: &Reporter,
    metrics: Router,
    connections: &Connections,
) -> impl Future<Output = io::Error> + use<> {
    let hard_fail = process.bind_address_hard_fail;
    let serve = |what, address: Option<SocketAddr>, routes| {
        let connections = connections.clone();
        async move {
            match address {
                Some(address) => {
                    match http::serve(what, address, routes, hard_fail, &connections).await {
                        Ok(never) => match never {},
                        Err(error) => error,
                    }
                }
                None => pending().await,
            }
        }
    };
    let healthz = serve(
        "health",
        process.healthz_bind_address,
        http::health_routes(reporter.health(), reporter.metrics()),
    );
    let metrics = serve("metrics", process.metrics_bind_address, metrics);
    async {
        tokio::select! {
            error = healthz => error,
            error = metrics => error,
        }
    }
}

async fn until_stopped() -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Start)?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!("{name}: ending; what is programmed stays");
    Ok(())
}

/// Whether addresses of other Nodes matter: they must not be bound here.
fn binds_addresses(layout: Layout) -> bool {
    layout == Layout::Current
}

/// Sends the configuration whenever its file changes it, and sets up connection tracking again if that changed.
async fn follow_config(
    watch: Option<ConfigWatch>,
    mut conntrack: Conntrack,
    pages: Introspection,
    events: mpsc::Sender<Event>,
    nodes: &NodeScope,
    in_force: &InForce,
) {
    let Some(mut watch) = watch else {
        return pending().await;
    };
    loop {
        let mut options = watch.changed().await;
        if options.layout == LayoutChoice::Auto
            && options.config.layout.uses_ipvs()
            && in_force.layout().uses_ipvs()
        {
            // What suits the machine was found out at the start.
            options.config.layout = in_force.layout();
        }
        tracing::info!(
            "the configuration changed; addresses to serve on, and the node's name, are followed after a restart"
        );
        for warning in &options.warnings {
            tracing::warn!("{warning}");
        }
        if options.process.conntrack != conntrack {
            conntrack = options.process.conntrack;
            conntrack::set_up(&conntrack);
        }
        if binds_addresses(options.config.layout) {
            nodes.widen().await;
        }
        pages.set_config(options.effective());
        let event = Event::Config(Box::new(options.config));
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// Opens this machine for the layout that was asked for, or that suits it, which the options name then.
pub(crate) fn open(mut options: Options) -> (Options, Result<ThisMachine, OpenError>) {
    let opened = layout::open(&options, &ThisNode, ThisMachine::open);
    options.config.layout = opened.layout;
    options.layout_reason = Some(opened.why.into());
    (options, opened.machine)
}
