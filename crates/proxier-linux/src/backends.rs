//! The back end of iptables that a family's rules are kept in, as far as the kernel itself tells.
//!
//! Otherwise the tools of both are run, each several times: in a start, most of the time before anything is served. What the
//! kernel tells has to be what they would find: where there is doubt, they are run.

use iptables_restore::{Backend, ToolFinder};
use nftables_netlink::message::{Item, Transaction, Verb};
use nftables_netlink::{
    Chain, Client, Hook, HookNumber, Table, TableFamily, VerdictCode, priority,
};
use proxier::cluster::Family;

use crate::nftables::name;
use crate::sockopt::Questions;
use crate::tools::{Found, in_use};
use crate::{legacy, modules};

/// The tables that iptables has, in either back end.
const TABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];

/// The table that is made to see whether the kernel can.
const PROBE: &str = "kube-probe";

/// The tools of the back end in use, if the kernel tells which it is, and that it does what they need.
pub(crate) fn found(family: Family, finder: &ToolFinder) -> Option<Found> {
    let plain = finder.named_backend(family)?;
    let contents = Contents::look(family);
    let first = contents.in_use(plain)?;
    let backend = [first, other(first)]
        .into_iter()
        .find(|backend| takes_rules(*backend, family))?;
    let finder = match backend == plain {
        true => finder.clone(),
        false => finder.clone().backend(backend),
    };
    if backend == Backend::Nft && contents.nft == Some(true) {
        // Whether they can show all of it, only they can say.
        return in_use(family, &finder.backend(backend)).ok();
    }
    finder.find(family).ok().map(Found::from)
}

const fn other(backend: Backend) -> Backend {
    match backend {
        Backend::Legacy => Backend::Nft,
        Backend::Nft => Backend::Legacy,
    }
}

/// Whether there are tables of iptables in each back end.
#[derive(Clone, Copy, Debug)]
struct Contents {
    legacy: bool,
    /// None where the kernel has no nf_tables.
    nft: Option<bool>,
}

impl Contents {
    /// Looks at the network namespace of the calling thread.
    fn look(family: Family) -> Self {
        Self {
            legacy: legacy::has_tables(family),
            nft: has_nft_tables(family),
        }
    }

    /// What [`ToolFinder::find_in_use`] would find, where `plain` are the tools without a back end in their name. None where
    /// both may have rules, so that these have to be weighed.
    const fn in_use(self, plain: Backend) -> Option<Backend> {
        match (self.legacy, self.nft) {
            (_, None) | (true, Some(false)) => Some(Backend::Legacy),
            (false, Some(true)) => Some(Backend::Nft),
            (false, Some(false)) => Some(plain),
            (true, Some(true)) => None,
        }
    }
}

fn has_nft_tables(family: Family) -> Option<bool> {
    let tables = Client::open()
        .ok()?
        .tables(TableFamily::from(family))
        .ok()?;
    let is_of_iptables = |table: &Table| TABLES.iter().any(|name| table.name == *name);
    Some(tables.iter().any(is_of_iptables))
}

/// Whether the kernel takes chains in the tables nat and filter. Where it does not by what is asked here, the tools may still
/// know better.
fn takes_rules(backend: Backend, family: Family) -> bool {
    match backend {
        Backend::Legacy => has_legacy_tables(family),
        Backend::Nft => has_nft_chains(family).is_ok(),
    }
}

/// Has the kernel show both tables, which makes them. `ip_tables` is the one module that the kernel does not load for that.
fn has_legacy_tables(family: Family) -> bool {
    let Ok(questions) = Questions::open(family) else {
        return false;
    };
    let has = |table| legacy::size(&questions, table).is_ok();
    if !has("nat") {
        let _ = modules::load_ahead(match family {
            Family::V4 => &["iptable_nat", "iptable_filter"],
            Family::V6 => &["ip6table_nat", "ip6table_filter"],
        });
    }
    has("nat") && has("filter")
}

/// Makes a chain of each kind, and takes all of it away in the same transaction.
fn has_nft_chains(family: Family) -> Result<(), nftables_netlink::Error> {
    let table = Table::new(family, name(PROBE));
    let chain = |kind, number, priority| {
        let hook = Hook::new(number, priority);
        let chain = Chain::new(family, name(PROBE), name(kind));
        Item::from(chain.base(name(kind), hook, VerdictCode::ACCEPT))
    };
    let nat = chain("nat", HookNumber::PREROUTING, priority::DSTNAT);
    let filter = chain("filter", HookNumber::FORWARD, priority::FILTER);
    let mut transaction = Transaction::new();
    transaction.push(Verb::Create, Item::from(table.clone()));
    transaction.push(Verb::Create, nat);
    transaction.push(Verb::Create, filter);
    transaction.push(Verb::Delete, Item::from(table));
    Client::open()?.apply(&transaction).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As [`ToolFinder::find_in_use`] weighs them: the back end with rules, else the one that the system's owner chose.
    #[test]
    fn the_back_end_with_tables_is_in_use_and_both_have_to_be_weighed() {
        use Backend::{Legacy, Nft};
        for (legacy, nft, plain, in_use) in [
            (false, Some(false), Nft, Some(Nft)),
            (false, Some(false), Legacy, Some(Legacy)),
            (false, Some(true), Legacy, Some(Nft)),
            (true, Some(false), Nft, Some(Legacy)),
            (true, Some(true), Nft, None),
            (false, None, Nft, Some(Legacy)),
            (true, None, Nft, Some(Legacy)),
        ] {
            let contents = Contents { legacy, nft };
            assert_eq!(contents.in_use(plain), in_use, "{contents:?}");
        }
    }
}
