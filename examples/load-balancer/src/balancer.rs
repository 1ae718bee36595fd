//! The main loop: takes events, and keeps the kernel as configuration and checks ask for.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::check::{Checker, Checks, Failure, Kind, State, Target};
use crate::config::Config;
use crate::metrics::{self, Counters};
use crate::plan::{Drains, Observed, plan};
use crate::{Error, Event};

/// How often the kernel is compared at least: drains end, and what others changed is repaired.
const TICK: Duration = Duration::from_secs(1);

pub(crate) struct Balancer {
    file: PathBuf,
    config: Config,
    ipvs: ipvs_netlink::Client,
    links: dummy_link::Client,
    checks: Checks,
    drains: Drains,
    counters: Counters,
    /// What failed the last time, which is not logged again each second.
    failures: BTreeSet<String>,
}

impl Balancer {
    /// Opens the kernel.
    pub(crate) fn open(file: PathBuf, config: Config) -> Result<Self, Error> {
        Ok(Self {
            file,
            config,
            ipvs: ipvs_netlink::Client::open()?,
            links: dummy_link::Client::open()?,
            checks: Checks::new(),
            drains: Drains::new(),
            counters: Counters::default(),
            failures: BTreeSet::new(),
        })
    }

    /// Starts the checks and handles events until [`Event::Stop`], then removes everything.
    pub(crate) fn run(
        mut self,
        events: &Sender<Event>,
        received: &Receiver<Event>,
    ) -> Result<(), Error> {
        self.links.ensure(self.config.process.link)?;
        self.follow(self.config.clone(), events)?;
        let mut due = Instant::now();
        loop {
            let wait = due.saturating_duration_since(Instant::now());
            let changed = match received.recv_timeout(wait) {
                Ok(Event::Checked(target, result)) => self.checked(&target, &result),
                Ok(Event::Reload) => self.reload(events),
                Ok(Event::Scrape(reply)) => {
                    // Whoever asked may have gone.
                    let _ = reply.send(self.metrics());
                    false
                }
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return self.clean_up(),
                Err(RecvTimeoutError::Timeout) => true,
            };
            if changed || Instant::now() >= due {
                self.reconcile();
                due = Instant::now() + TICK;
            }
        }
    }

    /// Takes the result of a check; returns whether the target's state changed.
    fn checked(&mut self, target: &Target, result: &Result<(), Failure>) -> bool {
        let address = target.address;
        // It may have been removed while it was checked.
        let Some(checker) = self.checks.get_mut(target) else {
            return false;
        };
        let changed = checker.health.record(result.is_ok(), &target.check);
        match result {
            Ok(()) if changed => log(format_args!("{address} is up")),
            Err(why) if changed => log(format_args!("{address} is down: {why}")),
            _ => {}
        }
        changed
    }

    /// Follows the file as it is now. One that cannot be used changes nothing.
    fn reload(&mut self, events: &Sender<Event>) -> bool {
        let config = Config::read(&self.file).map_err(Error::from);
        let followed = config.and_then(|config| self.follow(config, events));
        self.counters.reloads += 1;
        self.counters.reload_failures += u64::from(followed.is_err());
        self.counters.last_reload_failed = followed.is_err();
        match &followed {
            Ok(()) => log("reloaded"),
            Err(error) => log(format_args!("not reloaded: {error}")),
        }
        followed.is_ok()
    }

    /// Follows a configuration. What is checked as before keeps its state.
    fn follow(&mut self, config: Config, events: &Sender<Event>) -> Result<(), Error> {
        if config.process != self.config.process {
            return Err(Error::Restart);
        }
        let targets = config.targets();
        let mut started = Checks::new();
        for &target in targets
            .iter()
            .filter(|target| !self.checks.contains_key(**target))
        {
            let checker = Checker::start(target.clone(), events.clone());
            started.insert(target.clone(), checker.map_err(Error::Thread)?);
        }
        self.checks.append(&mut started);
        self.checks.retain(|target, _| targets.contains(target));
        self.config = config;
        Ok(())
    }

    fn observe(&mut self) -> Result<Observed, Error> {
        Ok(Observed {
            entries: self.ipvs.table()?,
            addresses: self.links.addresses(self.config.process.link)?,
        })
    }

    /// Makes the kernel what it should be. What fails is tried again at the next tick.
    fn reconcile(&mut self) {
        let failures = self.apply().unwrap_or_else(|error| vec![error]);
        self.counters.failures += failures.len() as u64;
        let failures: BTreeSet<_> = failures.iter().map(ToString::to_string).collect();
        failures.difference(&self.failures).for_each(log);
        self.failures = failures;
    }

    fn apply(&mut self) -> Result<Vec<Error>, Error> {
        let link = self.config.process.link;
        self.links.ensure(link)?;
        let found = self.observe()?;
        let state = |target: &Target| match self.checks.get(target) {
            Some(checker) => checker.health.state,
            None if target.check.kind == Kind::None => State::Up,
            None => State::Unknown,
        };
        let plan = plan(
            &self.config,
            state,
            &found,
            &mut self.drains,
            Instant::now(),
        )?;
        let added = self.links.add_addresses(link, &plan.new_addresses)?;
        let changed = self.ipvs.apply(&plan.requests);
        let removed = self.links.remove_addresses(link, &plan.old_addresses)?;
        let changes = added.len() + plan.requests.len() + removed.len();
        self.counters.changes += changes as u64;
        let addresses = added.into_iter().chain(removed).filter_map(Result::err);
        let servers = changed.failures().map(|(_, error)| Error::from(error));
        Ok(servers.chain(addresses.map(Error::from)).collect())
    }

    /// Removes the virtual servers, without waiting for their connections, and the link.
    fn clean_up(mut self) -> Result<(), Error> {
        self.config.servers.clear();
        self.config.backends.clear();
        self.config.drain = Duration::ZERO;
        let failures = self.apply()?;
        self.links.delete(self.config.process.link)?;
        failures.into_iter().next().map_or(Ok(()), Err)
    }

    fn metrics(&mut self) -> String {
        match self.observe() {
            Ok(found) => {
                let (drains, counters) = (&self.drains, &self.counters);
                metrics::text(&self.config, &self.checks, drains, counters, &found)
            }
            Err(error) => format!("# {}\n", error.to_string().escape_debug()),
        }
    }
}

/// Writes a line to stderr. Nothing can be done if that fails.
pub(crate) fn log(message: impl Display) {
    let _ = writeln!(io::stderr(), "load-balancer: {message}");
}
