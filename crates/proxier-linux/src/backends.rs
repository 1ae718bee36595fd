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
    let contents = Contents::look(family)?;
    let first = contents.in_use(plain)?;
    let backend = [first, other(first)]
        .into_iter()
        .find(|backend| takes_rules(*backend, family))?;
    let finder = match backend == plain {
        true => finder.clone(),
        false => finder.clone().backend(backend),
    };
    if backend == Backend::Nft && contents.nft {
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

/// What there is of iptables in each back end.
#[derive(Clone, Copy, Debug)]
struct Contents {
    /// Rules, or chains other than a table's own.
    legacy: bool,
    /// Tables.
    nft: bool,
}

impl Contents {
    /// Looks at the network namespace of the calling thread. None if that cannot be seen.
    fn look(family: Family) -> Option<Self> {
        let mut client = Client::open().ok()?;
        // A kernel without nf_tables has none.
        let tables = client.tables(TableFamily::from(family)).ok()?;
        let is_of_iptables = |table: &Table| TABLES.iter().any(|name| table.name == *name);
        Some(Self {
            legacy: legacy::has_rules(family).ok()?,
            nft: tables.iter().any(is_of_iptables),
        })
    }

    /// What [`ToolFinder::find_in_use`] would find, where `plain` are the tools without a back end in their name: they are in use
    /// where neither has a rule. The others are only if they have one, which is not known of what is seen here. None where that has to
    /// be found out by the tools.
    const fn in_use(self, plain: Backend) -> Option<Backend> {
        match (self.legacy, self.nft, plain) {
            (false, false, plain) => Some(plain),
            (true, false, Backend::Legacy) => Some(Backend::Legacy),
            (false, true, Backend::Nft) => Some(Backend::Nft),
            _ => None,
        }
    }
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

    /// As [`ToolFinder::find_in_use`] weighs them: tables and chains without a rule are nothing to it.
    #[test]
    fn where_a_back_end_may_have_no_rule_it_is_in_use_only_as_the_plain_one() {
        use Backend::{Legacy, Nft};
        for (legacy, nft, plain, in_use) in [
            (false, false, Nft, Some(Nft)),
            (false, false, Legacy, Some(Legacy)),
            (true, false, Legacy, Some(Legacy)),
            (true, false, Nft, None),
            (false, true, Nft, Some(Nft)),
            (false, true, Legacy, None),
            (true, true, Nft, None),
            (true, true, Legacy, None),
        ] {
            let contents = Contents { legacy, nft };
            assert_eq!(contents.in_use(plain), in_use, "{contents:?}");
        }
    }
}
