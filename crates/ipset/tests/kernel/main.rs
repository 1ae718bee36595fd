//! ipset on a real kernel: what we write `ipset` reads, and the other way round.
#![allow(missing_docs, reason = "a test")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and say what they measured"
)]

mod both_ways;
mod busy;
mod entries;
mod large;
mod refusals;
mod replace;
mod restore_files;
mod restore_forms;
mod sets;

use std::process::ExitCode;

use ipset_netlink::message::Mode;
use ipset_netlink::{Entry, Error, Family, Protocol, SetName, SetSpec, SetType};
use kernel_test::{AnySocket, Needs, Test, tests};
use netlink_batch::uapi::NETLINK_NETFILTER;

fn main() -> ExitCode {
    if std::env::var_os(refusals::PROBE).is_some() {
        return refusals::probe();
    }
    kernel_test::main(guest().into_iter().chain(here()).chain(on_tokio()))
}

/// Those of both clients again, but for the large ones, over a tokio runtime.
fn on_tokio() -> impl Iterator<Item = Test> {
    let small = |test: &Test| !test.name().contains("large::");
    guest()
        .into_iter()
        .chain(here())
        .filter(small)
        .map(Test::on_tokio)
}

/// The guest has every type of set.
fn guest() -> impl IntoIterator<Item = Test> {
    tests![
        both_ways::every_type_is_written_and_read,
        both_ways::we_write_ipset_reads,
        both_ways::ipset_writes_we_read,
        both_ways::protocol_6_is_spoken,
        both_ways::headers_and_names,
        busy::a_swap_waits_for_a_listing,
        busy::a_listing_that_lasts_is_told,
        entries::a_refused_entry_is_named,
        entries::the_place_is_counted_over_all_messages,
        entries::idempotent_adds_update,
        entries::deleting,
        entries::testing,
        entries::many_requests_at_once,
        entries::comments_that_text_cannot_carry,
        entries::foreign_names_do_no_harm,
        large::a_million_entries_in_bounded_memory,
        large::three_thousand_entries_as_fast_as_ipset,
        large::two_writers_of_a_set_with_room,
        refusals::of_sets,
        refusals::of_entries,
        refusals::without_the_capability,
        refusals::a_missing_set_is_reported_once,
        replace::replaces_contents_and_options,
        replace::makes_what_is_missing,
        replace::leaves_nothing_behind_when_it_fails,
        replace::rules_see_the_new_set,
        restore_files::what_ipset_carries_out,
        restore_files::what_ipset_stops_at,
        restore_files::lines_of_large_files,
        restore_forms::what_ipset_takes_is_read_as_it_reads_it,
        restore_forms::what_ipset_refuses_is_refused,
        restore_forms::comments_need_not_be_utf8,
        sets::create_twice,
        sets::rename_swap_flush_destroy,
        sets::indexes,
        sets::used_by_a_rule,
        sets::old_revisions_are_told,
        sets::more_sets_than_the_first_table_holds,
        sets::a_list_takes_more_than_its_size,
    ]
}

/// This machine's kernel is newer, if it has ipset at all.
fn here() -> impl IntoIterator<Item = Test> {
    [
        on_this_kernel(
            "here::we_write_ipset_reads",
            both_ways::we_write_ipset_reads,
        ),
        on_this_kernel(
            "here::ipset_writes_we_read",
            both_ways::ipset_writes_we_read,
        ),
        on_this_kernel("here::masks_of_linux_6_3", both_ways::masks_of_linux_6_3),
        on_this_kernel("here::refusals_of_entries", refusals::of_entries),
        on_this_kernel("here::refusals_of_linux_6_3", refusals::of_linux_6_3),
        on_this_kernel(
            "here::what_ipset_carries_out",
            restore_files::what_ipset_carries_out,
        ),
        on_this_kernel(
            "here::what_ipset_stops_at",
            restore_files::what_ipset_stops_at,
        ),
        on_this_kernel(
            "here::what_ipset_takes_is_read_as_it_reads_it",
            restore_forms::what_ipset_takes_is_read_as_it_reads_it,
        ),
        on_this_kernel(
            "here::what_ipset_refuses_is_refused",
            restore_forms::what_ipset_refuses_is_refused,
        ),
        on_this_kernel(
            "here::comments_need_not_be_utf8",
            restore_forms::comments_need_not_be_utf8,
        ),
        on_this_kernel(
            "here::rename_swap_flush_destroy",
            sets::rename_swap_flush_destroy,
        ),
        on_this_kernel(
            "here::replaces_contents_and_options",
            replace::replaces_contents_and_options,
        ),
        on_this_kernel(
            "here::a_swap_waits_for_a_listing",
            busy::a_swap_waits_for_a_listing,
        ),
        on_this_kernel(
            "here::two_writers_of_a_set_with_room",
            large::two_writers_of_a_set_with_room,
        ),
        on_this_kernel(
            "here::a_hundred_thousand_entries_as_fast_as_ipset",
            large::a_hundred_thousand_entries_as_fast_as_ipset,
        ),
    ]
}

/// The test on this machine's kernel, where that has ipset.
fn on_this_kernel(name: &str, test: fn()) -> Test {
    let body = move || match ipset_netlink::Client::open() {
        Err(Error::NoIpset) => println!("this machine's kernel has no ipset: nothing tested"),
        _ => test(),
    };
    Test::new(name, body).needs(Needs::NetNamespace)
}

fn name(text: &str) -> SetName {
    SetName::new(text).unwrap()
}

/// The blocking client, or the async one on a tokio runtime.
type Client = ipset_netlink::Client<AnySocket>;

fn open() -> Result<Client, Error> {
    Client::over(AnySocket::connect(NETLINK_NETFILTER).unwrap())
}

fn client() -> Client {
    open().unwrap()
}

/// A spec as ipset writes it, of the set `s` where the line names none.
fn spec(line: &str) -> SetSpec {
    SetSpec::parse(&format!("create {line}")).unwrap()
}

/// An empty `hash:ip,port`.
fn web(client: &mut Client) -> SetSpec {
    let spec = SetSpec::hash(name("web"), SetType::HASH_IP_PORT, Family::V4);
    client.create(&spec, Mode::Strict).unwrap();
    spec
}

fn tcp(last: u8, port: u16) -> Entry {
    Entry::ip_port([10, 0, 0, last].into(), Protocol::TCP, port)
}

/// So many different entries.
fn numbered(number: u32) -> impl Iterator<Item = Entry> {
    (0..number).map(|n| {
        let [_, high, third, fourth] = n.to_be_bytes();
        Entry::ip_port(
            [10, 0, 0, high].into(),
            Protocol::TCP,
            u16::from_be_bytes([third, fourth]),
        )
    })
}

/// The entries of a set, in order of value.
fn entries(client: &mut Client, set: SetName) -> Vec<Entry> {
    let mut entries = client.list(set).unwrap().set.entries;
    entries.sort();
    entries
}
