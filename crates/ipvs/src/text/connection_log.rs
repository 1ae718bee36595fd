//! What became of connections between two readings of the table.

use std::collections::BTreeMap;

use super::ConnectionEntry;
use super::connections::Key;

/// What became of a connection between two readings of the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ConnectionChange {
    /// It is new.
    Opened(ConnectionEntry),
    /// It has another state or destination than before.
    Changed {
        /// As it was.
        before: ConnectionEntry,
        /// As it is.
        after: ConnectionEntry,
    },
    /// It is gone.
    Closed(ConnectionEntry),
}

/// The changes that lead from one reading of the table to another, sorted. The time that is left to an entry is not
/// compared. Of an entry that is in a reading twice the last counts.
#[must_use]
pub fn connection_changes(
    before: &[ConnectionEntry],
    after: &[ConnectionEntry],
) -> Vec<ConnectionChange> {
    let by_key = |entries: &[ConnectionEntry]| -> BTreeMap<Key, ConnectionEntry> {
        let entries = entries.iter().map(|entry| (entry.key(), entry.clone()));
        entries.collect()
    };
    changes(&by_key(before), &by_key(after))
}

fn changes(
    before: &BTreeMap<Key, ConnectionEntry>,
    after: &BTreeMap<Key, ConnectionEntry>,
) -> Vec<ConnectionChange> {
    let mut changes = BTreeMap::new();
    for (key, entry) in after {
        let change = match before.get(key) {
            None => ConnectionChange::Opened(entry.clone()),
            Some(before)
                if (&before.state, before.destination) == (&entry.state, entry.destination) =>
            {
                continue;
            }
            Some(before) => ConnectionChange::Changed {
                before: before.clone(),
                after: entry.clone(),
            },
        };
        changes.insert(key, change);
    }
    for (key, entry) in before {
        if !after.contains_key(key) {
            changes.insert(key, ConnectionChange::Closed(entry.clone()));
        }
    }
    changes.into_values().collect()
}

/// The connections of the last reading of the table, by which the next one is reported as changes.
///
/// It reads nothing itself: [`client::ConnectionMonitor`](crate::client::ConnectionMonitor) does, and a program that
/// reads the table by its own means, in a task of its own for one, gives what [`parse_connections`](super::parse_connections)
/// returns to [`advance`](Self::advance).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionLog {
    known: BTreeMap<Key, ConnectionEntry>,
}

impl ConnectionLog {
    /// A log that knows of these connections.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = ConnectionEntry>) -> Self {
        let entries = entries.into_iter().map(|entry| (entry.key(), entry));
        Self {
            known: entries.collect(),
        }
    }

    /// Takes a new reading, and returns what changed since the one before, as [`connection_changes`] does.
    pub fn advance(
        &mut self,
        entries: impl IntoIterator<Item = ConnectionEntry>,
    ) -> Vec<ConnectionChange> {
        let next = Self::new(entries);
        let changes = changes(&self.known, &next.known);
        *self = next;
        changes
    }

    /// The connections of the last reading, sorted.
    pub fn entries(&self) -> impl Iterator<Item = &ConnectionEntry> {
        self.known.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_connections;

    fn line(port: u16, state: &str, expires: u32) -> ConnectionEntry {
        let text = format!("TCP 0A000001 {port:04X} 0A600001 0050 0A010001 1F90 {state} {expires}");
        parse_connections(&text).unwrap().remove(0)
    }

    #[test]
    fn changes_lead_from_one_table_to_another() {
        let before = [
            line(1, "ESTABLISHED", 900),
            line(2, "SYN_RECV", 60),
            line(3, "CLOSE", 1),
        ];
        let after = [
            line(4, "SYN_RECV", 60),
            line(2, "ESTABLISHED", 900),
            line(1, "ESTABLISHED", 7),
        ];
        let changes = connection_changes(&before, &after);
        let expected = [
            ConnectionChange::Changed {
                before: before[1].clone(),
                after: after[1].clone(),
            },
            ConnectionChange::Closed(before[2].clone()),
            ConnectionChange::Opened(after[0].clone()),
        ];
        assert_eq!(changes, expected);
        assert_eq!(connection_changes(&after, &after), []);
    }

    #[test]
    fn an_entry_that_is_read_twice_is_one_connection() {
        // The kernel's table moved while it was read.
        let once = [line(1, "ESTABLISHED", 900)];
        let twice = [line(1, "ESTABLISHED", 900), line(1, "ESTABLISHED", 899)];
        assert_eq!(connection_changes(&once, &twice), []);
        assert_eq!(connection_changes(&twice, &twice), []);
        let opened = connection_changes(&[], &twice);
        assert_eq!(opened, [ConnectionChange::Opened(twice[1].clone())]);
    }

    #[test]
    fn a_log_follows_the_table() {
        let mut log = ConnectionLog::new([line(1, "ESTABLISHED", 900)]);
        assert_eq!(log.advance([line(1, "ESTABLISHED", 890)]), []);
        // What is left is that of the last reading.
        let expires: Vec<_> = log.entries().map(|entry| entry.expires).collect();
        assert_eq!(expires, [890]);
        let opened = ConnectionChange::Opened(line(2, "SYN_RECV", 60));
        let two = [line(1, "ESTABLISHED", 880), line(2, "SYN_RECV", 60)];
        assert_eq!(log.advance(two), [opened]);
        let closed = [line(1, "ESTABLISHED", 880), line(2, "SYN_RECV", 60)];
        let closed = closed.map(ConnectionChange::Closed);
        assert_eq!(log.advance([]), closed);
        assert_eq!(log, ConnectionLog::default());
        assert_eq!(log.advance([]), []);
    }
}
