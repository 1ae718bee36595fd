//! What others do to the tables, rules and routes of layout `nftables`, as the kernel reports it.
//!
//! Other layouts are not guarded so: what they are made of is looked at each second (`sync::others`).

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use dummy_link::Table;
use nftables_netlink::Name;
use nftables_netlink::message::Item;
use nftables_netlink::{Change, Changes, Event as Notification, Monitor};
use proxier::nftables::{ROUTING_PROTOCOL, TABLE};
use tokio::sync::mpsc::Sender;

use super::Event;
use super::layout::InForce;
use super::notices::{Readable, send};

/// How many changed things an event names.
const NAMED: usize = 3;

/// Why changes cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum GuardError {
    /// nf_tables does not report them.
    #[error(transparent)]
    Tables(#[from] nftables_netlink::Error),
    /// Routing does not report them.
    #[error(transparent)]
    Routing(#[from] dummy_link::Error),
    /// The socket cannot be waited for.
    #[error("waiting for a socket: {0}")]
    Wait(#[from] io::Error),
}

/// Runs `follow` while layout `nftables` is in force, with its routing table, and anew when the table is another.
async fn while_guarded(
    in_force: &InForce,
    follow: impl AsyncFn(Table) -> Result<Infallible, GuardError>,
) -> Result<Infallible, GuardError> {
    loop {
        let table = in_force.guarded().await;
        tokio::select! {
            failed = follow(table) => return failed,
            () = in_force.guarded_no_more(table) => {}
        }
    }
}

/// Reports what others do to the tables, while they are those of the layout in force.
pub(super) async fn tables(
    events: &Sender<Event>,
    in_force: &InForce,
) -> Result<Infallible, GuardError> {
    while_guarded(in_force, async |_| follow_tables(events, in_force).await).await
}

async fn follow_tables(
    events: &Sender<Event>,
    in_force: &InForce,
) -> Result<Infallible, GuardError> {
    let mut monitor = Monitor::open()?;
    let readable = Readable::of(&monitor)?;
    loop {
        readable.wait().await?;
        while let Some(notification) = monitor.next(None)? {
            let found = match notification {
                Notification::Changed(changes) => of_others(&changes, in_force.port()),
                _ => Some("reports of changes of nf_tables were lost".to_owned()),
            };
            if let Some(found) = found {
                send(events, Event::Tampered(found)).await;
            }
        }
    }
}

/// What a transaction changed in the proxy's tables, unless it is the proxy's own.
fn of_others(changes: &Changes, own: Option<u32>) -> Option<String> {
    if own == Some(changes.port) {
        return None;
    }
    let ours = |change: &&Change| change.item().is_some_and(is_ours);
    let count = changes.changes.iter().filter(ours).count();
    if count == 0 && changes.left_out == 0 {
        return None;
    }
    // A table that goes takes all in it along: it is named first.
    let is_table = |change: &&Change| matches!(change.item(), Some(Item::Table(_)));
    let tables = changes.changes.iter().filter(ours).filter(is_table);
    let rest = changes.changes.iter().filter(ours);
    let named = tables.chain(rest.filter(|change| !is_table(change)));
    let named: Vec<_> = named.take(NAMED).map(described).collect();
    let generation = &changes.generation;
    let by = match (&generation.process, generation.pid) {
        (Some(process), Some(pid)) => format!("{process}, process {pid}"),
        _ => "an unknown process".to_owned(),
    };
    Some(format!(
        "{}{} (by {by})",
        named.join(", "),
        if count > NAMED {
            format!(" and {} more", count - NAMED)
        } else {
            String::new()
        },
    ))
}

fn is_ours(item: &Item) -> bool {
    let (Item::Table(_) | Item::Chain(_) | Item::Rule(_) | Item::Set(_) | Item::Elements(_)) = item
    else {
        return false;
    };
    table(item).is_some_and(|name| *name == TABLE)
}

/// The table that it is, or is in.
const fn table(item: &Item) -> Option<&Name> {
    Some(match item {
        Item::Table(table) => &table.name,
        Item::Chain(chain) => &chain.table,
        Item::Rule(rule) => &rule.table,
        Item::Set(set) => &set.table,
        Item::Elements(elements) => &elements.table,
        _ => return None,
    })
}

fn described(change: &Change) -> String {
    let verb = match change {
        Change::New(_) => "made",
        _ => "removed",
    };
    let Some(item) = change.item() else {
        return "something unreadable".to_owned();
    };
    let family = item.family();
    match item {
        Item::Table(table) => format!("table {family} {} {verb}", table.name),
        Item::Elements(elements) => format!("elements of {family} set {} {verb}", elements.set),
        Item::Set(set) => format!("{family} set {} {verb}", set.name),
        Item::Chain(_) => format!("a chain of {family} {verb}"),
        _ => format!("a rule of {family} {verb}"),
    }
}

/// Reports what others do to rules and routes, while they are those of the layout in force.
pub(super) async fn routing(
    events: &Sender<Event>,
    in_force: &InForce,
) -> Result<Infallible, GuardError> {
    while_guarded(in_force, async |table| follow_routing(events, table).await).await
}

async fn follow_routing(events: &Sender<Event>, table: Table) -> Result<Infallible, GuardError> {
    let monitor = dummy_link::Monitor::open()?;
    let monitor = monitor.watching_protocol(ROUTING_PROTOCOL)?;
    let mut monitor = monitor.watching_table(table)?;
    let readable = Readable::of(&monitor)?;
    loop {
        readable.wait().await?;
        while let Some(changes) = monitor.wait(Duration::ZERO)? {
            let mut found = Vec::new();
            if changes.routes {
                found.push(format!("a route of table {table} replaced"));
            }
            if changes.lost {
                found.push("reports of changes of routing were lost".to_owned());
            }
            if !found.is_empty() {
                send(events, Event::Tampered(found.join(", "))).await;
            }
            if !changes.removed.is_empty() {
                // Perhaps by this process.
                send(events, Event::Removed(changes.removed)).await;
            }
        }
    }
}
