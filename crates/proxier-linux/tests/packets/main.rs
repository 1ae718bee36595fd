//! Packets through IPVS as `LinuxKernel` programs it: real TCP and UDP between network namespaces, in both
//! layouts and both families.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

mod addresses;
#[path = "../nftables/affinity.rs"]
#[allow(dead_code, reason = "some are of layout nftables")]
mod affinity;
mod asking;
mod connections;
mod iptables_mode;
#[path = "../nftables/marked.rs"]
#[allow(dead_code, reason = "of layout nftables")]
mod marked;
mod masquerading;
mod proxy;
mod ranges;
mod source_ranges;
#[path = "../nftables/web.rs"]
#[allow(dead_code, reason = "some are of layout nftables")]
mod web;

use std::process::ExitCode;

use kernel_test::Test;
use proxier::Layout;
use proxier::cluster::Family;

type Body = fn(Layout, Family);

/// Names and functions.
macro_rules! bodies {
    ($($function:path),* $(,)?) => {
        [$((stringify!($function), $function as Body)),*]
    };
}

fn main() -> ExitCode {
    use addresses::*;
    use connections::*;

    let both = bodies![
        cluster_ip_from_the_node,
        cluster_ip_from_a_pod,
        cluster_ip_from_a_client,
        cluster_ip_with_masquerade_all,
        node_port_is_masqueraded,
        external_ip,
        load_balancer,
        local_node_port_keeps_the_client,
        local_load_balancer_keeps_the_client,
        source_ranges::allow_one_client_and_drop_others,
        input_that_drops_lets_services_pass,
        masquerading::never,
        masquerading::never_where_all_is_masqueraded,
        masquerading::always,
        masquerading::changes_with_open_connections,
    ];
    // The classic layout has no rules for these, or they do not depend on the layout.
    let current = bodies![
        asking::each_from_a_port_of_its_own,
        asking::once,
        hairpin,
        local_external_ip_keeps_the_client,
        a_port_of_no_service_is_refused,
        source_ranges::without_the_node_drop_its_own,
        source_ranges::with_the_node_let_its_own_pass,
        session_affinity,
        tcp_survives_its_endpoint,
        tcp_survives_its_endpoint_coming_back,
        tcp_is_cut_when_its_time_is_over,
        tcp_survives_a_change_of_scheduler,
        udp_leaves_its_endpoint_at_once,
        masquerading::never_with_policy_local,
        ranges::from_everywhere,
        ranges::ports_beside_are_refused,
        ranges::all_ports_but_those_listed,
        ranges::one_endpoint_for_a_client,
        ranges::policies,
        ranges::source_ranges,
        ranges::without_endpoints,
        ranges::of_the_nodes_own_address,
        ranges::the_nodes_own_connections,
        ranges::a_connection_lives_through_changes,
        ranges::what_others_do_is_mended,
        ranges::nothing_is_left,
        ranges::input_that_drops,
        ranges::masquerading,
        affinity::one_endpoint_at_all_ports,
        affinity::who_may_come,
        affinity::a_connection_lives_through_changes,
        ranges::of_listed_ports,
    ];
    let iptables = bodies![
        iptables_mode::every_address_is_served,
        iptables_mode::masquerade_all,
        iptables_mode::node_ports_at_localhost,
        iptables_mode::a_local_policy_keeps_the_client,
        iptables_mode::an_internal_local_policy,
        iptables_mode::without_endpoints_all_is_refused,
        iptables_mode::source_ranges,
        iptables_mode::session_affinity,
        iptables_mode::tcp_survives_changes,
        masquerading::never,
        masquerading::never_where_all_is_masqueraded,
        masquerading::never_with_policy_local,
        masquerading::always,
        masquerading::changes_with_open_connections,
    ];
    let of = |layout: Layout, bodies: Vec<(&'static str, Body)>| {
        bodies.into_iter().flat_map(move |(name, body)| {
            Family::ALL.map(|family| {
                let version = match family {
                    Family::V4 => "ipv4",
                    Family::V6 => "ipv6",
                };
                let name = format!("{}::{}::{version}", layout.as_str(), name.replace(' ', ""));
                Test::new(name, move || body(layout, family))
            })
        })
    };
    let all = of(Layout::Current, [&both[..], &current].concat());
    let all = all.chain(of(Layout::Classic, both.to_vec()));
    kernel_test::main(all.chain(of(Layout::Iptables, iptables.to_vec())))
}
