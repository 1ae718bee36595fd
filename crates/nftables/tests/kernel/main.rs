//! nf_tables on this machine's kernel, in a network namespace of each test's own: what we make `nft` lists,
//! and the other way round.
#![allow(missing_docs, reason = "a test")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests fail by panicking, and print what they measured"
)]

mod large;
mod listed;
mod owner;
mod sets;
mod transactions;
mod watch;

use std::process::ExitCode;

use kernel_test::{AnySocket, Needs, Test};
use netlink_batch::uapi::NETLINK_NETFILTER;
use nftables_netlink::message::Transaction;
use nftables_netlink::{Error, Name, Table, TableFamily};

fn main() -> ExitCode {
    // The guest's kernel has no nf_tables.
    let tests: [(&str, fn()); 17] = [
        (
            "listed::text_is_what_nft_lists",
            listed::text_is_what_nft_lists,
        ),
        (
            "listed::what_nft_made_is_listed_and_made_again",
            listed::what_nft_made_is_listed_and_made_again,
        ),
        (
            "listed::bodies_of_newer_statements",
            listed::bodies_of_newer_statements,
        ),
        ("listed::a_large_ruleset", listed::a_large_ruleset),
        ("transactions::all_or_nothing", transactions::all_or_nothing),
        (
            "transactions::at_a_generation",
            transactions::at_a_generation,
        ),
        ("transactions::deleting", transactions::deleting),
        (
            "transactions::names_of_any_bytes",
            transactions::names_of_any_bytes,
        ),
        (
            "sets::concatenated_keys_and_maps",
            sets::concatenated_keys_and_maps,
        ),
        ("sets::intervals", sets::intervals),
        ("sets::concatenated_intervals", sets::concatenated_intervals),
        (
            "sets::timeouts_counters_and_verdicts",
            sets::timeouts_counters_and_verdicts,
        ),
        (
            "large::a_hundred_thousand_elements_in_one_transaction",
            large::a_hundred_thousand_elements_in_one_transaction,
        ),
        (
            "large::listings_begin_again_when_the_generation_changes",
            large::listings_begin_again_when_the_generation_changes,
        ),
        (
            "watch::changes_of_another_process",
            watch::changes_of_another_process,
        ),
        (
            "watch::more_than_the_buffer_holds",
            watch::more_than_the_buffer_holds,
        ),
        ("owner::owned_tables", owner::owned_tables),
    ];
    let all = || tests.map(|(name, body)| Test::new(name, here(body)).needs(Needs::NetNamespace));
    kernel_test::main(all().into_iter().chain(all().map(Test::on_tokio)))
}

/// The test, where this kernel has nf_tables.
fn here(test: fn()) -> impl Fn() + Send + Sync + 'static {
    move || match open().and_then(|mut client| client.generation()) {
        Err(Error::NoNftables) => {
            println!("this machine's kernel has no nf_tables: nothing tested");
        }
        _ => test(),
    }
}

/// The blocking client, or the async one on a tokio runtime.
type Client = nftables_netlink::Client<AnySocket>;

fn open() -> Result<Client, Error> {
    let connection = AnySocket::connect(NETLINK_NETFILTER);
    connection.map(Client::new).map_err(Error::Netlink)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A client and a transaction that adds the table `t` of IPv4.
fn table() -> (Client, Transaction) {
    let mut transaction = Transaction::new();
    transaction.add(Table::new(TableFamily::IPV4, name("t")));
    (open().unwrap(), transaction)
}
