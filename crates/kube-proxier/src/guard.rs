//! What others do to the tables, rules and routes of layout `nftables`, as the kernel reports it.
//!
//! Other layouts are not guarded so: what they are made of is looked at each second (`sync::others`).

use std::fmt;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dummy_link::Removal;
use nftables_netlink::Name;
use nftables_netlink::message::Item;
use nftables_netlink::{Change, Changes, Event as Notification, Monitor};
use proxier::Layout;
use proxier::nftables::{Options, ROUTING_PROTOCOL, TABLE};
use tokio::sync::mpsc::Sender;

use super::Event;
use super::layout::InForce;
use super::links::retrying;
use super::stop::Stop;

/// How often a thread looks whether it is to end, or whether there is anything to guard.
const ATTENTION: Duration = Duration::from_millis(250);
/// How soon it is noticed that this is the layout now.
const LAYOUT: Duration = Duration::from_secs(1);
/// How long until changes are followed again after that failed.
const AGAIN: Duration = Duration::from_secs(5);
/// How many changed things an event names.
const NAMED: usize = 3;

/// Reports what others do, from threads of its own, until stopped. What cannot be followed is tried again; meanwhile
/// changes are found at the next full sync.
///
/// # Errors
///
/// Where no thread can be had.
pub(super) fn follow(
    events: &Sender<Event>,
    stop: &Stop,
    in_force: &InForce,
) -> io::Result<[JoinHandle<()>; 2]> {
    let spawn = |name: &str, watch: Watch| {
        let (events, stop, in_force) = (events.clone(), stop.clone(), in_force.clone());
        let what = format!("changes of {name} by others");
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            retrying(&what, &events, &stop, AGAIN, || {
                if in_force.layout() == Layout::Nftables {
                    return watch(&events, &stop, &in_force);
                }
                stop.wait(LAYOUT);
                Ok(())
            });
        })
    };
    Ok([spawn("nf_tables", tables)?, spawn("routing", routing)?])
}

/// Follows while it is to.
type Watch = fn(&Sender<Event>, &Stop, &InForce) -> Result<(), Box<dyn fmt::Display>>;

fn boxed<E: fmt::Display + 'static>(error: E) -> Box<dyn fmt::Display> {
    Box::new(error)
}

fn tables(
    events: &Sender<Event>,
    stop: &Stop,
    in_force: &InForce,
) -> Result<(), Box<dyn fmt::Display>> {
    let mut monitor = Monitor::open().map_err(boxed)?;
    while !stop.is_set() && in_force.layout() == Layout::Nftables {
        let found = match monitor.next(Some(ATTENTION)).map_err(boxed)? {
            Some(Notification::Changed(changes)) => of_others(&changes, in_force.port()),
            Some(_) => Some("reports of changes of nf_tables were lost".to_owned()),
            None => None,
        };
        let event = found.map(Event::Tampered);
        if event.is_some_and(|event| events.blocking_send(event).is_err()) {
            return Ok(());
        }
    }
    Ok(())
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

fn routing(
    events: &Sender<Event>,
    stop: &Stop,
    in_force: &InForce,
) -> Result<(), Box<dyn fmt::Display>> {
    let table = Options::default().routing_table;
    let monitor = dummy_link::Monitor::open().map_err(boxed)?;
    let monitor = monitor.watching_protocol(ROUTING_PROTOCOL).map_err(boxed)?;
    let mut monitor = monitor.watching_table(table).map_err(boxed)?;
    while !stop.is_set() && in_force.layout() == Layout::Nftables {
        let Some(changes) = monitor.wait(ATTENTION).map_err(boxed)? else {
            continue;
        };
        let mut found: Vec<_> = changes.removed.iter().filter_map(removed).collect();
        if changes.routes {
            found.push(format!("a route of table {table} replaced"));
        }
        if changes.lost {
            found.push("reports of changes of routing were lost".to_owned());
        }
        found.truncate(NAMED);
        let event = (!found.is_empty()).then(|| Event::Tampered(found.join(", ")));
        if event.is_some_and(|event| events.blocking_send(event).is_err()) {
            return Ok(());
        }
    }
    Ok(())
}

fn removed(removal: &Removal) -> Option<String> {
    match removal {
        Removal::Rule(rule) => Some(format!("routing rule {} removed", rule.priority)),
        Removal::Route(route) => Some(format!(
            "route {} of table {} removed",
            route.destination, route.table
        )),
        _ => None,
    }
}
