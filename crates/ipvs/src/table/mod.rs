//! A table of virtual servers and destinations, apart from any kernel, and what changes one into another.

mod diff;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::{
    Destination, DestinationConfig, DestinationId, Error, Result, SaveLine, TableEntry,
    VirtualServerConfig, VirtualServerId,
};

pub use diff::diff;

/// Virtual servers with their destinations: how they are configured, without what the kernel counts.
///
/// It parses from the text of `ipvsadm -Sn` (empty lines are passed over) and displays as such text.
/// [`diff`] has an example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    servers: BTreeMap<VirtualServerId, Server>,
}

/// A virtual server of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    config: VirtualServerConfig,
    destinations: BTreeMap<DestinationId, DestinationConfig>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a virtual server without destinations, or configures one anew that keeps its destinations.
    ///
    /// The configuration is kept as the kernel reports it ([`VirtualServerConfig::of`]).
    pub fn set_service(&mut self, id: VirtualServerId, config: VirtualServerConfig) {
        let config = config.of(id.family());
        self.servers
            .entry(id)
            .and_modify(|server| server.config = config)
            .or_insert_with(|| Server {
                config,
                destinations: BTreeMap::new(),
            });
    }

    /// Removes a virtual server with its destinations; returns whether it was there.
    pub fn remove_service(&mut self, id: &VirtualServerId) -> bool {
        self.servers.remove(id).is_some()
    }

    /// Adds a destination to a virtual server, or configures it anew.
    ///
    /// # Errors
    /// [`Error::UnknownService`] if the table does not have the virtual server.
    pub fn set_destination(
        &mut self,
        service: VirtualServerId,
        destination: Destination,
    ) -> Result<()> {
        let server = self.server(service)?;
        server
            .destinations
            .insert(destination.id, destination.config);
        Ok(())
    }

    /// Removes a destination; returns whether it was there.
    ///
    /// # Errors
    /// [`Error::UnknownService`] if the table does not have the virtual server.
    pub fn remove_destination(
        &mut self,
        service: VirtualServerId,
        id: &DestinationId,
    ) -> Result<bool> {
        Ok(self.server(service)?.destinations.remove(id).is_some())
    }

    fn server(&mut self, id: VirtualServerId) -> Result<&mut Server> {
        self.servers
            .get_mut(&id)
            .ok_or(Error::UnknownService { id })
    }

    /// How a virtual server is configured, if the table has it.
    #[must_use]
    pub fn service(&self, id: &VirtualServerId) -> Option<&VirtualServerConfig> {
        self.servers.get(id).map(|server| &server.config)
    }

    /// The virtual servers, in order.
    pub fn services(&self) -> impl Iterator<Item = (VirtualServerId, &VirtualServerConfig)> {
        self.servers
            .iter()
            .map(|(id, server)| (*id, &server.config))
    }

    /// The destinations of a virtual server, in order; none if the table does not have it.
    pub fn destinations<'a>(
        &'a self,
        service: &VirtualServerId,
    ) -> impl Iterator<Item = Destination> + use<'a> {
        let destinations = self.servers.get(service).map(|server| &server.destinations);
        destinations
            .into_iter()
            .flatten()
            .map(|(id, config)| Destination {
                id: *id,
                config: *config,
            })
    }

    /// The lines of `ipvsadm -Sn`: each virtual server, followed by its destinations.
    pub fn lines(&self) -> impl Iterator<Item = SaveLine> {
        self.services().flat_map(|(id, config)| {
            let service = SaveLine::AddService {
                id,
                config: *config,
            };
            let destinations =
                self.destinations(&id)
                    .map(move |destination| SaveLine::AddDestination {
                        service: id,
                        destination,
                    });
            std::iter::once(service).chain(destinations)
        })
    }
}

/// The table that [`Client::table`](crate::Client::table) has read.
impl FromIterator<TableEntry> for Table {
    fn from_iter<I: IntoIterator<Item = TableEntry>>(entries: I) -> Self {
        let mut table = Self::new();
        for TableEntry {
            server,
            destinations,
        } in entries
        {
            table.set_service(server.id, server.config);
            if let Some(entry) = table.servers.get_mut(&server.id) {
                let destinations = destinations.iter().map(|status| status.destination);
                entry
                    .destinations
                    .extend(destinations.map(|destination| (destination.id, destination.config)));
            }
        }
        table
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Table {
    type Err = Error;

    /// Reads the lines of `ipvsadm -Sn`.
    ///
    /// A virtual server or destination that is there twice, and a destination before its virtual server,
    /// are errors, as they are to `ipvsadm -R`. Errors name the line.
    fn from_str(text: &str) -> Result<Self> {
        let mut table = Self::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            line.parse()
                .and_then(|line| table.add(line))
                .map_err(|error| Error::Line {
                    line: index + 1,
                    error: Box::new(error),
                })?;
        }
        Ok(table)
    }
}

impl Table {
    fn add(&mut self, line: SaveLine) -> Result<()> {
        let text = line.to_string();
        match line {
            SaveLine::AddService { id, config } => {
                if self.servers.contains_key(&id) {
                    return Err(Error::save_line(&text, "the virtual server exists already"));
                }
                self.set_service(id, config);
                Ok(())
            }
            SaveLine::AddDestination {
                service,
                destination,
            } => {
                let server = self.server(service)?;
                if server.destinations.contains_key(&destination.id) {
                    return Err(Error::save_line(&text, "the destination exists already"));
                }
                server
                    .destinations
                    .insert(destination.id, destination.config);
                Ok(())
            }
        }
    }
}
