//! The tables of `ipvsadm -Ln`, as a [`Display`](fmt::Display) over virtual servers.
//!
//! ```
//! use ipvs_netlink::listing::{Listing, Row};
//! use ipvs_netlink::{
//!     Connections, Destination, DestinationConfig, Info, SaveLine, Version,
//! };
//!
//! let SaveLine::AddService { id, config } = "-A -t 10.0.0.1:443 -s rr -p 10800".parse()? else {
//!     unreachable!()
//! };
//! let destination =
//!     Destination { id: "192.168.0.1:6443".parse()?, config: DestinationConfig::masquerade(1) };
//! let connections = Connections { active: 1, ..Connections::default() };
//! let rows = [Row { id, config, destinations: vec![(destination, connections)] }];
//! let info = Info::new(Version(0x01_0201), 4096);
//! assert_eq!(Listing::new(info, &rows).to_string(), "\
//! IP Virtual Server version 1.2.1 (size=4096)
//! Prot LocalAddress:Port Scheduler Flags
//!   -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
//! TCP  10.0.0.1:443 rr persistent 10800
//!   -> 192.168.0.1:6443             Masq    1      1          0         \n");
//! # Ok::<(), ipvs_netlink::Error>(())
//! ```

mod counters;

use std::fmt;
use std::net::SocketAddr;

use crate::text::ProtocolName;
use crate::{
    Connections, Destination, DestinationStatus, Family, ForwardingMethod, Info, SchedulerFlags,
    ServiceFlags, TableEntry, VirtualServerConfig, VirtualServerId,
};

pub use counters::{Counted, CounterListing};

/// Width of the names before counters.
const NAME_WIDTH: usize = 33;

/// A virtual server with its destinations, in the order they are to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What identifies it.
    pub id: VirtualServerId,
    /// How it is configured.
    pub config: VirtualServerConfig,
    /// Its destinations with their connections.
    pub destinations: Vec<(Destination, Connections)>,
}

impl From<&TableEntry> for Row {
    fn from(entry: &TableEntry) -> Self {
        let connections = |status: &DestinationStatus| (status.destination, status.connections);
        Self {
            id: entry.server.id,
            config: entry.server.config,
            destinations: entry.destinations.iter().map(connections).collect(),
        }
    }
}

/// The table. Displays as `ipvsadm -Ln` of version 1.31 prints it, trailing blanks included; but
/// firewall marks above `i32::MAX` are not shown as negative, and a third flag of `sh` and `mh` is
/// `flag-3`.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    info: Info,
    rows: &'a [Row],
}

impl<'a> Listing<'a> {
    /// The table of these virtual servers, in this order, under a header from `info`.
    #[must_use]
    pub const fn new(info: Info, rows: &'a [Row]) -> Self {
        Self { info, rows }
    }
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_title(f, self.info)?;
        writeln!(f, "Prot LocalAddress:Port Scheduler Flags")?;
        writeln!(
            f,
            "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn"
        )?;
        self.rows
            .iter()
            .try_for_each(|row| fmt::Display::fmt(row, f))
    }
}

impl fmt::Display for Row {
    /// The lines of one virtual server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&id_name(&self.id))?;
        write_config(f, self.id.family(), &self.config)?;
        for (destination, connections) in &self.destinations {
            // Padding needs a string; the ids' own Display does not pad.
            let id = destination.id.to_string();
            let method = method_name(destination.config.forwarding);
            let Connections {
                active, inactive, ..
            } = connections;
            let weight = destination.config.weight;
            writeln!(
                f,
                "  -> {id:<28} {method:<7} {weight:<6} {active:<10} {inactive:<10}"
            )?;
        }
        Ok(())
    }
}

fn write_title(f: &mut fmt::Formatter<'_>, info: Info) -> fmt::Result {
    let Info {
        version,
        connection_table_size,
    } = info;
    writeln!(
        f,
        "IP Virtual Server version {version} (size={connection_table_size})"
    )
}

/// What the tables call a virtual server: `TCP  10.0.0.1:80`, `FWM  7 IPv6`.
fn id_name(id: &VirtualServerId) -> String {
    match *id {
        VirtualServerId::Address {
            protocol,
            address,
            port,
        } => {
            format!(
                "{:<4} {}",
                ProtocolName(protocol),
                SocketAddr::new(address, port)
            )
        }
        VirtualServerId::FirewallMark {
            family: Family::V4,
            mark,
        } => format!("FWM  {mark}"),
        VirtualServerId::FirewallMark {
            family: Family::V6,
            mark,
        } => format!("FWM  {mark} IPv6"),
    }
}

fn write_config(
    f: &mut fmt::Formatter<'_>,
    family: Family,
    config: &VirtualServerConfig,
) -> fmt::Result {
    write!(f, " {}", config.scheduler)?;
    if config.flags.intersects(ServiceFlags::SCHEDULER) {
        let flags = SchedulerFlags {
            scheduler: config.scheduler,
            flags: config.flags,
        };
        write!(f, " ({flags})")?;
    }
    if config.is_persistent() {
        write!(f, " persistent {}", config.timeout)?;
        if let Some(netmask) = config.netmask.shown(family) {
            write!(f, " mask {netmask}")?;
        }
    }
    if let Some(engine) = config.engine {
        write!(f, " pe {engine}")?;
    }
    if config.flags.contains(ServiceFlags::ONE_PACKET) {
        f.write_str(" ops")?;
    }
    f.write_str("\n")
}

const fn method_name(method: ForwardingMethod) -> &'static str {
    match method {
        ForwardingMethod::Masquerade => "Masq",
        ForwardingMethod::Local => "Local",
        ForwardingMethod::Tunnel => "Tunnel",
        ForwardingMethod::DirectRoute => "Route",
        ForwardingMethod::Bypass => "Bypass",
    }
}
