//! The client against a real kernel, and `ipvsadm` as the witness: written by us and read by it,
//! and the other way round. The crate documentation lists which test covers what.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and measurements are printed"
)]
#![expect(unreachable_pub, reason = "the modules of a test binary")]

mod batches;
mod behaviour;
mod connections;
mod daemons;
mod destinations;
mod permission;
mod reading;
mod refusals;
mod services;
mod settings;
mod statistics;
mod tables;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use ipvs_netlink::{Error, Request, SaveLine};
use kernel_test::{AnySocket, Needs, Test, cmd, cmd_input, tests};
use netlink_batch::uapi::NETLINK_GENERIC;

fn main() -> ExitCode {
    let any_client = tests![connections::are_those_of_ipvsadm, connections::are_followed];
    let any_kernel = tests![behaviour::a_kernel_without_ipvs_is_told_apart]
        .map(|test| test.needs(Needs::NetNamespace));
    let measurements = tests![destinations::how_long_one_takes_after_many_were_deleted]
        .map(|test| test.time_limit(Duration::from_secs(600)).ignored());
    let on_tokio = ipvs().into_iter().map(Test::on_tokio);
    kernel_test::main(
        ipvs()
            .into_iter()
            .chain(on_tokio)
            .chain(any_client)
            .chain(any_kernel)
            .chain(measurements),
    )
}

/// The tests of both clients.
fn ipvs() -> impl IntoIterator<Item = Test> {
    tests![
        services::ours_are_read_by_ipvsadm,
        services::those_of_ipvsadm_are_read_by_us,
        services::every_scheduler_is_loaded,
        services::are_changed_in_place,
        services::are_got_and_deleted_one_by_one,
        services::of_other_protocols_are_kept_apart,
        services::netmasks_with_holes_are_cut_at_the_first,
        destinations::ours_are_read_by_ipvsadm,
        destinations::those_of_ipvsadm_are_read_by_us,
        destinations::thresholds_go_both_ways,
        destinations::are_changed_in_place_and_deleted,
        destinations::methods_that_ipvsadm_has_no_option_for,
        daemons::ours_are_read_by_ipvsadm,
        daemons::those_of_ipvsadm_are_read_by_us,
        daemons::settings_are_left_to_the_kernel,
        settings::timeouts_go_both_ways,
        settings::info_is_what_ipvsadm_says,
        settings::flush_deletes_everything,
        statistics::are_counted_and_zeroed,
        statistics::listings_are_those_of_ipvsadm,
        reading::the_listing_is_that_of_ipvsadm,
        reading::large_tables_come_whole,
        reading::no_destinations_and_no_service_are_told_apart,
        reading::a_table_that_changes_meanwhile_is_read,
        batches::mixed_requests_fail_alone,
        batches::ten_thousand_requests_at_once,
        refusals::name_the_object_and_the_reason,
        refusals::daemons_too,
        permission::is_asked_for_by_name,
        behaviour::a_client_stays_in_the_namespace_it_was_opened_in,
        behaviour::connections_outlive_a_weight_of_zero,
        behaviour::connections_outlive_a_change_of_the_scheduler,
        behaviour::a_destination_added_again_has_its_connections_back,
        behaviour::a_gue_tunnel_needs_a_port,
        tables::the_kernel_becomes_what_is_wanted,
    ]
}

/// The blocking client, or the async one on a tokio runtime.
type Client = ipvs_netlink::Client<AnySocket>;

fn open() -> Result<Client, Error> {
    Client::new(AnySocket::connect(NETLINK_GENERIC).unwrap())
}

fn client() -> Client {
    open().unwrap()
}

/// The request that adds the object of the line.
fn request(line: &str) -> Request {
    line.parse::<SaveLine>()
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .into()
}

/// Adds the objects of the lines with one `sendmsg`.
fn add(client: &mut Client, lines: &[&str]) {
    let requests: Vec<_> = lines.iter().map(|line| request(line)).collect();
    client.apply(&requests).into_result().unwrap();
}

/// What the kernel has, as save lines, read by us.
fn saved(client: &mut Client) -> BTreeSet<String> {
    let table = client.table().unwrap();
    let lines = table.iter().flat_map(|entry| {
        let id = entry.server.id;
        let service = SaveLine::AddService {
            id,
            config: entry.server.config,
        };
        let destinations = entry
            .destinations
            .iter()
            .map(move |status| SaveLine::AddDestination {
                service: id,
                destination: status.destination,
            });
        std::iter::once(service).chain(destinations)
    });
    lines.map(|line| line.to_string()).collect()
}

/// What the kernel has, as save lines, read by `ipvsadm`.
fn saved_by_ipvsadm() -> BTreeSet<String> {
    cmd("ipvsadm -Sn")
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// What we add, `ipvsadm` reads as it is written.
fn assert_ipvsadm_reads(lines: &[&str]) {
    add(&mut client(), lines);
    assert_eq!(saved_by_ipvsadm(), set(lines));
}

/// What `ipvsadm` adds, we read as it is written.
fn assert_reads_those_of_ipvsadm(lines: &[&str]) {
    cmd_input("ipvsadm -R", &lines.join("\n"));
    assert_eq!(saved(&mut client()), set(lines));
}
