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
mod restore_forms;
mod sets;

use std::process::ExitCode;

use ipset_netlink::message::Mode;
use ipset_netlink::{Client, Entry, Error, Family, Protocol, SetName, SetSpec, SetType};
use kernel_test::{Needs, Test, tests};

fn main() -> ExitCode {
    if std::env::var_os(refusals::PROBE).is_some() {
        return refusals::probe();
    }
    // The guest has every type of set.
    let guest = tests![
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
    ];
    // This machine's kernel is newer, if it has ipset at all.
    let here = [
        here(
            "here::we_write_ipset_reads",
            both_ways::we_write_ipset_reads,
        ),
        here(
            "here::ipset_writes_we_read",
            both_ways::ipset_writes_we_read,
        ),
        here("here::masks_of_linux_6_3", both_ways::masks_of_linux_6_3),
        here("here::refusals_of_entries", refusals::of_entries),
        here("here::refusals_of_linux_6_3", refusals::of_linux_6_3),
        here(
            "here::what_ipset_takes_is_read_as_it_reads_it",
            restore_forms::what_ipset_takes_is_read_as_it_reads_it,
        ),
        here(
            "here::what_ipset_refuses_is_refused",
            restore_forms::what_ipset_refuses_is_refused,
        ),
        here(
            "here::comments_need_not_be_utf8",
            restore_forms::comments_need_not_be_utf8,
        ),
        here(
            "here::rename_swap_flush_destroy",
            sets::rename_swap_flush_destroy,
        ),
        here(
            "here::replaces_contents_and_options",
            replace::replaces_contents_and_options,
        ),
        here(
            "here::a_swap_waits_for_a_listing",
            busy::a_swap_waits_for_a_listing,
        ),
        here(
            "here::two_writers_of_a_set_with_room",
            large::two_writers_of_a_set_with_room,
        ),
        here(
            "here::a_hundred_thousand_entries_as_fast_as_ipset",
            large::a_hundred_thousand_entries_as_fast_as_ipset,
        ),
    ];
    kernel_test::main(guest.into_iter().chain(here))
}

/// The test on this machine's kernel, where that has ipset.
fn here(name: &str, test: fn()) -> Test {
    let body = move || match Client::open() {
        Err(Error::NoIpset) => println!("this machine's kernel has no ipset: nothing tested"),
        _ => test(),
    };
    Test::new(name, body).needs(Needs::NetNamespace)
}

fn name(text: &str) -> SetName {
    SetName::new(text).unwrap()
}

fn client() -> Client {
    Client::open().unwrap()
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
