//! The `nftables` layout on Debian's kernel: what `LinuxKernel` writes and reads, and packets through it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

#[path = "../packets/addresses.rs"]
#[allow(dead_code, reason = "some are of layouts that bind addresses")]
mod addresses;
mod affinity;
mod api_server;
mod bad_element;
mod bulk;
mod by_nft;
mod calls;
#[path = "../packets/connections.rs"]
mod connections;
mod direct;
mod drain;
mod flows;
mod icmp;
mod loopback;
mod marked;
mod masquerade_address;
#[path = "../packets/masquerading.rs"]
mod masquerading;
mod packets;
#[path = "../packets/proxy.rs"]
mod proxy;
mod ranges;
mod sctp;
mod source;
#[path = "../packets/source_ranges.rs"]
mod source_ranges;
mod state;
#[path = "../kernel/trace.rs"]
mod trace;
mod web;

use std::process::ExitCode;
use std::time::Duration;

use kernel_test::{Needs, Test, tests};
use proxier::Layout;
use proxier::cluster::Family;

type Body = fn(Layout, Family);

/// Names and functions.
macro_rules! bodies {
    ($($function:path),* $(,)?) => {
        [$((stringify!($function), $function as Body)),*]
    };
}

/// In the environment of a process that has no other variable: it serves without any program.
const WITHOUT_TOOLS: &str = "NFTABLES_WITHOUT_TOOLS";

/// In the environment of a process in a user namespace of its own.
const IN_A_USER_NAMESPACE: &str = "NFTABLES_IN_A_USER_NAMESPACE";

fn main() -> ExitCode {
    use packets::*;

    if std::env::var_os(IN_A_USER_NAMESPACE).is_some() {
        by_nft::in_a_user_namespace();
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(WITHOUT_TOOLS).is_some() {
        without_tools();
        return ExitCode::SUCCESS;
    }
    // As in the layout `current`.
    let current = bodies![
        addresses::cluster_ip_from_the_node,
        addresses::cluster_ip_from_a_pod,
        addresses::cluster_ip_from_a_client,
        addresses::cluster_ip_with_masquerade_all,
        addresses::node_port_is_masqueraded,
        addresses::external_ip,
        addresses::load_balancer,
        addresses::local_node_port_keeps_the_client,
        addresses::local_load_balancer_keeps_the_client,
        addresses::local_external_ip_keeps_the_client,
        addresses::hairpin,
        addresses::session_affinity,
        source_ranges::allow_one_client_and_drop_others,
        source_ranges::without_the_node_drop_its_own,
        source_ranges::with_the_node_let_its_own_pass,
        connections::tcp_survives_its_endpoint,
        connections::tcp_survives_its_endpoint_coming_back,
        connections::tcp_is_cut_when_its_time_is_over,
        connections::tcp_survives_a_change_of_scheduler,
        connections::udp_leaves_its_endpoint_at_once,
        masquerading::never,
        masquerading::never_where_all_is_masqueraded,
        masquerading::never_with_policy_local,
        masquerading::always,
        masquerading::changes_with_open_connections,
    ];
    let own = bodies![
        another_nodes_address,
        split_policy,
        split_policy_without_local_endpoints,
        internal_policy,
        without_endpoints,
        the_rest_of_a_cluster_ip_is_refused,
        ping_is_answered,
        bulk::path_mtu_to_clients,
        bulk::path_mtu_of_ports_together,
        bulk::path_mtu_to_endpoints,
        bulk::path_mtu_of_the_node,
        api_server::keeps_its_port,
        direct::by_direct_routing,
        direct::by_ipip,
        direct::by_gre,
        direct::by_gue,
        ranges::from_everywhere,
        ranges::all_ports_but_those_listed,
        ranges::one_endpoint_for_a_client,
        ranges::split_policy,
        ranges::internal_policy,
        ranges::source_ranges,
        ranges::without_endpoints,
        ranges::of_the_nodes_own_address,
        ranges::a_connection_lives_through_changes,
        ranges::masquerading,
        source::ports_that_choose_together,
        source::a_rule_of_ones_own_chooses_the_address,
        masquerade_address::at_every_address,
        masquerade_address::with_policy_local,
        masquerade_address::only_one_that_the_node_has,
        masquerade_address::what_is_open_stays,
        masquerade_address::of_ranges,
        ranges::no_mark_leaves_the_node,
        ranges::cleanup_leaves_nothing,
        affinity::one_endpoint_at_all_ports,
        affinity::split_policy,
        affinity::who_may_come,
        affinity::a_connection_lives_through_changes,
        affinity::a_port_with_another_target_port,
        affinity::no_mark_leaves_the_node,
        direct::of_local_endpoints,
        direct::open_connections_go_on,
        direct::what_is_in_the_way,
        direct::large_packets,
        flows::of_ranges,
        flows::of_policy_local,
        flows::that_began_before,
        drain::of_all_endpoints,
        drain::of_local_endpoints,
        drain::to_policy_local,
        drain::to_policy_cluster,
        src_valid_mark,
        without_a_default_route,
        the_node_has_its_own_source,
        sctp,
        a_flushed_rule_set_is_mended,
        a_restart_finds_everything,
        cleanup_leaves_nothing,
        no_mark_leaves_the_node,
    ];
    let all = current.into_iter().chain(own);
    let packets = all.flat_map(|(name, body)| {
        Family::ALL.map(|family| {
            let version = match family {
                Family::V4 => "ipv4",
                Family::V6 => "ipv6",
            };
            let name = format!("{}::{version}", name.replace(' ', ""));
            Test::new(name, move || body(Layout::Nftables, family))
        })
    });
    let state = tests![
        state::what_is_written_is_read_back,
        state::elements_come_and_go,
        state::faults_are_the_same_in_both_kernels,
        state::a_route_of_others_is_in_the_way,
        state::routing_is_written_and_read,
        state::what_others_put_into_the_table_is_seen,
        masquerade_address::a_part_comes_and_goes,
        loopback::every_endpoint_answers,
        loopback::an_endpoint_of_the_node_itself_answers,
        loopback::large_answers_come_whole,
        loopback::without_endpoints_the_port_is_refused,
        loopback::with_affinity_one_endpoint_answers,
        loopback::udp_flows_are_found,
        loopback::others_are_kept_out,
        by_nft::a_rule_goes_from_a_chain_that_is_written_anew,
        by_nft::too_many_lines_for_one_message,
        by_nft::the_back_end_in_use_is_the_one_that_the_tools_find,
        calls::of_a_change,
        bad_element::costs_only_its_own_service,
        with_an_empty_path,
    ];
    let all = packets.chain(state);
    kernel_test::main(all.map(|test| {
        test.needs(Needs::Debian)
            .time_limit(Duration::from_secs(120))
    }))
}
