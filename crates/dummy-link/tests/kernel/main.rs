//! Against a real kernel: written by us and read by `ip`, and the other way round.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod addresses;
mod choices;
mod links;
mod routing;

use std::collections::BTreeSet;
use std::process::ExitCode;

use dummy_link::{Error, LinkName, Outcome};
use ipnetwork::IpNetwork;
use kernel_test::{AnySocket, Needs, Test, cmd, tests};
use netlink_batch::{Connection, Limits, SocketOptions, uapi::NETLINK_ROUTE};

fn main() -> ExitCode {
    let on_tokio = anywhere().into_iter().map(Test::on_tokio);
    let here =
        tests![links::a_kernel_without_dummy_links].map(|test| test.needs(Needs::NetNamespace));
    kernel_test::main(anywhere().into_iter().chain(on_tokio).chain(here))
}

/// The tests of both clients.
fn anywhere() -> impl IntoIterator<Item = Test> {
    tests![
        links::made_by_us_read_by_ip,
        links::made_by_ip_read_by_us,
        links::other_links_are_left_alone,
        addresses::addresses_written_by_us_read_by_ip,
        addresses::addresses_written_by_ip_read_by_us,
        addresses::ipv6_addresses_are_usable_at_once,
        addresses::addresses_with_peers_are_removed_as_listed,
        addresses::an_address_with_and_without_a_peer_takes_two_removals,
        links::links_of_another_kind_are_not_changed,
        links::links_are_found_by_kind_and_any_name,
        links::marked_addresses_are_recognised_on_a_renamed_link,
        addresses::disabled_ipv6_fails_alone_with_its_reason,
        links::missing_links_are_reported_as_missing,
        addresses::ten_thousand_addresses,
        addresses::listings_survive_changes_meanwhile,
        choices::choices_written_by_us_read_by_ip,
        choices::choices_written_by_ip_read_by_us,
        choices::lifetimes_are_renewed_and_end,
        choices::of_several_with_the_same_address_the_one_is_removed,
        routing::rules_written_by_us_read_by_ip,
        routing::rules_written_by_ip_read_by_us,
        routing::routes_written_by_us_read_by_ip,
        routing::routes_written_by_ip_read_by_us,
        routing::what_others_made_stays,
        routing::another_route_to_the_same_addresses_is_reported,
        routing::a_failing_item_fails_alone,
        routing::marked_packets_are_delivered_here,
        routing::ten_thousand_routes,
    ]
}

/// The blocking client, or the async one on a tokio runtime.
type Client = dummy_link::Client<AnySocket>;

/// As `Client::open` does.
fn open() -> Result<Client, Error> {
    let socket = AnySocket::open(NETLINK_ROUTE, &SocketOptions::default().strict(true))?;
    let limits = Limits::default().attempts(30);
    Ok(Client::new(Connection::new(socket).with_limits(limits)))
}

fn name(text: &str) -> LinkName {
    text.parse().unwrap()
}

fn nets(texts: &[&str]) -> Vec<IpNetwork> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The addresses of a link, as `ip` lists them.
fn ip_lists(link: LinkName) -> BTreeSet<IpNetwork> {
    let listed = cmd(&format!("ip -o addr show dev {link} | awk '{{print $4}}'"));
    listed.lines().map(|line| line.parse().unwrap()).collect()
}

/// The result of every request, or the first error.
fn all(results: Vec<Result<Outcome, Error>>) -> Vec<Outcome> {
    results.into_iter().collect::<Result<_, _>>().unwrap()
}
