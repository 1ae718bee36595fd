//! Counting by Service port what IPVS counts by virtual server.
//!
//! A port's virtual servers come and go with its addresses, and each begins at nothing. The sum of what they show at a moment
//! would fall whenever one goes, and a counter that falls is taken for one that began again, so that all the others' traffic
//! would be counted twice. So what is added up is what came since the last reading.

use std::collections::HashMap;
use std::sync::Arc;

use ipvs_netlink::{Counters, VirtualServer, VirtualServerId};

use super::names::{Names, PortName};

/// What was counted, as of the last reading.
#[derive(Debug)]
pub(super) struct Counted {
    /// How many ports are shown one by one.
    limit: usize,
    names: Arc<Names>,
    /// What each virtual server had counted, sorted.
    last: Vec<(VirtualServerId, Counters)>,
    /// One for each of the names' ports.
    ports: Vec<PortTraffic>,
    /// Of ports that are not shown.
    rest: PortTraffic,
}

/// The traffic of a Service port.
#[derive(Clone, Debug, Default)]
pub(super) struct PortTraffic {
    pub(super) totals: Counters,
    pub(super) rates: Counters,
    /// What came with the last reading.
    new: Counters,
    /// Whether it has series of its own. Once it has, it keeps them.
    shown: bool,
}

impl Counted {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            names: Arc::default(),
            last: Vec::new(),
            ports: Vec::new(),
            rest: PortTraffic::default(),
        }
    }

    /// Takes in a reading: all virtual servers, sorted. Those of no Service are not counted.
    pub(super) fn take(&mut self, names: &Arc<Names>, table: &[VirtualServer]) {
        self.rename(names);
        for port in self.ports.iter_mut().chain([&mut self.rest]) {
            port.new = Counters::default();
            port.rates = Counters::default();
        }
        let mut named = names.servers.iter().peekable();
        let mut before = self.last.iter().peekable();
        let mut last = Vec::with_capacity(names.servers.len());
        for server in table {
            let (id, found) = (server.id, &server.statistics);
            while named.next_if(|(named, _)| *named < id).is_some() {}
            while before.next_if(|(before, _)| *before < id).is_some() {}
            let Some((_, port)) = named.next_if(|(named, _)| *named == id) else {
                continue;
            };
            let counted = before.next_if(|(before, _)| *before == id);
            let new = match counted {
                Some((_, counted)) => since(&found.totals, counted),
                None => found.totals,
            };
            last.push((id, found.totals));
            if let Some(port) = self.ports.get_mut(*port) {
                add(&mut port.new, &new);
                add(&mut port.totals, &new);
                add(&mut port.rates, &found.rates);
            }
        }
        self.last = last;
        self.choose();
        for port in self.ports.iter().filter(|port| !port.shown) {
            add(&mut self.rest.totals, &port.new);
            add(&mut self.rest.rates, &port.rates);
        }
    }

    /// Ports with their traffic that are shown, sorted.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&PortName, &PortTraffic)> + Clone {
        let all = self.names.ports.iter().zip(&self.ports);
        all.filter(|(_, traffic)| traffic.shown)
    }

    /// How many ports are not shown, and what came for ports while they were not.
    pub(super) fn rest(&self) -> (usize, &PortTraffic) {
        let hidden = self.ports.iter().filter(|port| !port.shown);
        (hidden.count(), &self.rest)
    }

    /// Ports are these from now on; what was counted of those that stay is kept.
    fn rename(&mut self, names: &Arc<Names>) {
        if Arc::ptr_eq(&self.names, names) {
            return;
        }
        let known = std::mem::take(&mut self.ports);
        let mut known: HashMap<&PortName, PortTraffic> =
            self.names.ports.iter().zip(known).collect();
        let ports = names.ports.iter();
        self.ports = ports
            .map(|port| known.remove(port).unwrap_or_default())
            .collect();
        self.names = Arc::clone(names);
    }

    /// Chooses which ports are shown. Up to the limit, all of them are. Above it, ports with traffic are shown, the
    /// busiest first, until the limit is reached.
    fn choose(&mut self) {
        if self.ports.len() <= self.limit {
            self.ports.iter_mut().for_each(|port| port.shown = true);
            return;
        }
        let shown = self.ports.iter().filter(|port| port.shown).count();
        let room = self.limit.saturating_sub(shown);
        if room == 0 {
            return;
        }
        let waits = |port: &&mut PortTraffic| !port.shown && port.totals != Counters::default();
        let mut waiting: Vec<_> = self.ports.iter_mut().filter(waits).collect();
        // Stable: of equals the first by name.
        waiting.sort_by_key(|port| std::cmp::Reverse(port.bytes()));
        waiting
            .into_iter()
            .take(room)
            .for_each(|port| port.shown = true);
    }
}

impl PortTraffic {
    fn bytes(&self) -> u64 {
        let totals = &self.totals;
        totals.incoming_bytes.saturating_add(totals.outgoing_bytes)
    }
}

/// The numbers of counters, in the order of their fields.
const fn numbers(of: &Counters) -> [u64; 5] {
    [
        of.connections,
        of.incoming_packets,
        of.outgoing_packets,
        of.incoming_bytes,
        of.outgoing_bytes,
    ]
}

/// What came between two readings of a virtual server: all of it, where it was made anew in between.
fn since(now: &Counters, before: &Counters) -> Counters {
    let (now_is, before_was) = (numbers(now), numbers(before));
    if now_is
        .iter()
        .zip(&before_was)
        .any(|(now, before)| now < before)
    {
        return *now;
    }
    let mut new = *now;
    new.connections -= before.connections;
    new.incoming_packets -= before.incoming_packets;
    new.outgoing_packets -= before.outgoing_packets;
    new.incoming_bytes -= before.incoming_bytes;
    new.outgoing_bytes -= before.outgoing_bytes;
    new
}

pub(crate) const fn add(to: &mut Counters, more: &Counters) {
    to.connections = to.connections.saturating_add(more.connections);
    to.incoming_packets = to.incoming_packets.saturating_add(more.incoming_packets);
    to.outgoing_packets = to.outgoing_packets.saturating_add(more.outgoing_packets);
    to.incoming_bytes = to.incoming_bytes.saturating_add(more.incoming_bytes);
    to.outgoing_bytes = to.outgoing_bytes.saturating_add(more.outgoing_bytes);
}

#[cfg(test)]
#[path = "count_tests.rs"]
mod tests;
