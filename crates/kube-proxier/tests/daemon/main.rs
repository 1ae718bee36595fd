//! kube-proxier on a real kernel: every scenario, every step, told by an API server and read back with the
//! reference tools.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails should panic, and show what the daemon said"
)]

mod answers;
#[path = "../support/api_server/mod.rs"]
mod api_server;
mod churn;
mod cluster;
mod conntrack;
mod daemon;
mod debug;
mod doctor;
mod documents;
mod fallback;
mod hanging;
mod healing;
mod idle;
mod image;
mod iptables_mode;
mod latency;
mod lines;
mod nftables;
mod outage;
mod phases;
mod pod;
mod process;
mod refusals;
mod reserved;
mod restarts;
mod size;
mod traffic;
mod training;
mod unit;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use kernel_test::{Needs, Test, tests};
use proxier::Layout;
use serde_json::Value;

use self::api_server::ApiServer;
use self::daemon::{Daemon, Setup};
use scenarios::{Scenario, Step, all, compare, tools};

/// How long a step may take until it is in the kernel.
const DEADLINE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let each = Layout::WITH_IPSET.into_iter().flat_map(|layout| {
        all(layout).into_iter().map(move |scenario| {
            Test::new(format!("scenario::{}", scenario.name), move || {
                run(&scenario, layout);
            })
            .time_limit(Duration::from_secs(300))
        })
    });
    let others = tests![
        iptables_mode::the_mode_is_followed_and_nothing_of_the_other_is_left,
        iptables_mode::it_stands_in_for_ipvs_mode_and_shows_why,
        iptables_mode::connections_live_on_in_both_directions,
        process::ends_by_signal_and_leaves_all_in_place,
        process::a_broken_stderr_does_not_end_it,
        process::says_that_it_runs,
        process::serves_before_the_checks_that_only_warn,
        phases::a_streamed_list_takes_few_system_calls,
        process::a_second_one_stays_out,
        process::cleans_up,
        process::cleans_up_where_nothing_is,
        process::initializes_only,
        process::waits_until_all_is_listed,
        reserved::the_api_server_stays_in_reach,
        reserved::the_api_server_of_this_node_keeps_its_port,
        reserved::the_addresses_of_other_nodes_are_left_alone,
        refusals::are_of_no_concern_to_other_objects,
        conntrack::what_cannot_be_set_keeps_nothing_from_being_served,
        doctor::a_trial_that_was_cut_off_is_cleared_away,
        doctor::its_own_virtual_servers_are_no_warning,
        doctor::its_exit_status_says_whether_ipvs_mode_can_run,
        answers::health_check_node_ports,
        answers::a_node_to_be_deleted,
        answers::an_object_that_cannot_be_used,
        pod::its_service_account_is_used,
        pod::a_server_of_another_cluster_is_not_followed,
        healing::what_others_changed_is_healed,
        healing::node_addresses_are_followed,
        healing::udp_clients_leave_an_endpoint_that_is_gone,
        healing::connections_drain,
        healing::a_connection_is_cut_when_its_time_is_over,
        healing::without_an_api_server_all_stays,
        healing::what_fails_is_retried_and_shows,
        healing::another_configuration_is_followed,
    ];
    // Each waits for the same daemon several times.
    let patient = tests![
        debug::the_chapter_word_for_word,
        fallback::a_capability_that_is_missing,
        fallback::without_net_admin_neither_mode_runs,
    ];
    // They unload modules, or change settings of the first network namespace.
    let alone = tests![
        process::a_start_runs_few_programs,
        conntrack::is_set_up_as_asked,
        fallback::modules_that_are_missing,
        fallback::a_scheduler_that_is_missing,
        fallback::ipset_that_is_missing,
        fallback::a_set_type_that_is_missing,
        fallback::a_capability_to_load_modules_is_not_needed,
        fallback::while_it_runs,
    ];
    let alone = alone.map(|test| test.needs(Needs::OwnKernel));
    let patient = patient.into_iter().chain(alone);
    let patient = patient.map(|test| test.time_limit(Duration::from_secs(300)));
    let all = each.chain(others).chain(patient).chain(long());
    kernel_test::main(all.chain(on_debian()))
}

/// Short enough for every day, and as long as it takes to be sure:
/// `cargo test -p kube-proxier --test daemon -- --ignored`.
fn long() -> impl Iterator<Item = Test> {
    let hour = Duration::from_secs(3600);
    let test = |name: &str, body: fn()| Test::new(name, body).time_limit(hour);
    [
        test(
            "hanging::tools_that_hang_keep_only_their_rules_waiting",
            hanging::tools_that_hang_keep_only_their_rules_waiting,
        ),
        test(
            "hanging::a_change_that_hangs_keeps_only_its_own_servers_waiting",
            hanging::a_change_that_hangs_keeps_only_its_own_servers_waiting,
        ),
        test(
            "hanging::tools_that_hang_at_a_restart_keep_only_their_rules_waiting",
            hanging::tools_that_hang_at_a_restart_keep_only_their_rules_waiting,
        ),
        test(
            "hanging::tools_that_hang_at_the_first_start_do_not_end_the_daemon",
            hanging::tools_that_hang_at_the_first_start_do_not_end_the_daemon,
        ),
        test("restarts::some", || {
            restarts::killed_at_random_moments(20, Layout::Current);
        }),
        test("restarts::two_hundred", || {
            restarts::killed_at_random_moments(200, Layout::Current);
        })
        .ignored(),
        test(
            "healing::what_others_removed_is_mended_at_once",
            healing::what_others_removed_is_mended_at_once,
        ),
        test(
            "outage::a_server_that_vanishes_is_noticed",
            outage::a_server_that_vanishes_is_noticed,
        )
        .ignored(),
        test(
            "outage::a_server_that_was_restarted_is_listed_at_once",
            outage::a_server_that_was_restarted_is_listed_at_once,
        )
        .ignored(),
        test("churn::for_some_seconds", || {
            churn::nothing_is_lost_while_others_change(Duration::from_secs(10), Layout::Current);
        }),
        test("churn::for_a_minute", || {
            churn::nothing_is_lost_while_others_change(Duration::from_secs(60), Layout::Current);
        })
        .ignored(),
        test("traffic::is_counted_by_service_port", || {
            traffic::is_counted_by_service_port(Layout::Current);
        }),
        test(
            "traffic::top_leaves_the_terminal_as_it_was",
            traffic::top_leaves_the_terminal_as_it_was,
        ),
        test("traffic::cost_of_1000", || traffic::cost::cost(1000)).ignored(),
        test("traffic::cost_of_10000", || traffic::cost::cost(10_000)).ignored(),
        test("traffic::pictures", traffic::pictures::pictures).ignored(),
        test("traffic::is_counted_in_layout_classic", || {
            traffic::is_counted_by_service_port(Layout::Classic);
        })
        .ignored(),
        test("image::of_debian", image::of_debian)
            .needs(Needs::Debian)
            .ignored(),
        test("unit::under_systemd", unit::under_systemd)
            .needs(Needs::Debian)
            .ignored(),
        test("documents::debugging", documents::debugging),
        test("documents::explain", documents::explain),
        test("documents::traffic", documents::traffic),
        test("documents::troubleshooting", documents::troubleshooting),
        test("process::ends_in_order", || process::ends_in_order(10)),
        test("process::ends_in_order_two_hundred_times", || {
            process::ends_in_order(200);
        })
        .ignored(),
        test("idle::with_200", || idle::processor_time(200)).ignored(),
        test("idle::with_none", || idle::processor_time(0)).ignored(),
        test("phases::of_1000", || phases::of_a_start(1000)).ignored(),
        test("phases::of_10000", || phases::of_a_start(10_000)).ignored(),
        test("latency::of_one_endpoint", || {
            latency::of_one_endpoint(&[100, 1000]);
        })
        .beside(|| latency::serve(1000))
        .ignored(),
        test("training::at_work", || training::at_work(Layout::Current)).ignored(),
        test("size::of_1000", || size::memory_and_time(1000)),
        test("size::in_both_modes", || size::in_both_modes(1000)).ignored(),
        test("size::in_both_modes_of_5000", || size::in_both_modes(5000)).ignored(),
        test("size::of_10000", || size::memory_and_time(10_000)).ignored(),
    ]
    .into_iter()
}

/// Those of a kernel that has nf_tables, all in one guest.
fn on_debian() -> impl Iterator<Item = Test> {
    let short = Duration::from_secs(600);
    let hour = Duration::from_secs(3600);
    let all = tests![
        nftables::without_any_tool,
        nftables::options_are_followed,
        nftables::image::with_nothing_but_the_program,
        nftables::moving::from_the_state_of_kube_proxy,
        nftables::moving::moves_live_and_back,
        nftables::mending::what_others_do_is_mended_at_once,
        nftables::loopback::node_ports_come_and_go_with_the_option,
        nftables::loopback::the_doctor_looks_for_what_they_need,
    ];
    // With the iptables of nft.
    let by_nft = [
        Test::new(
            "by_nft::connections_live_on_in_both_directions",
            iptables_mode::connections_live_on_in_both_directions,
        )
        // Not seen to pass there: on a busy machine what is left of ipvs mode went later than is waited for.
        .ignored(),
        Test::new(
            "by_nft::modules_that_are_missing",
            fallback::modules_that_are_missing,
        ),
    ];
    let all = all.into_iter().chain(by_nft);
    let all = all.map(move |test| test.time_limit(short));
    let long = [
        Test::new("nftables::traffic_is_counted_by_service_port", || {
            traffic::is_counted_by_service_port(Layout::Nftables);
        }),
        Test::new("training::without_any_tool", || {
            training::at_work(Layout::Nftables);
        })
        .ignored(),
        Test::new("nftables::killed_four_times", || {
            restarts::killed_at_random_moments(4, Layout::Nftables);
        }),
        Test::new("nftables::killed_two_hundred_times", || {
            restarts::killed_at_random_moments(200, Layout::Nftables);
        })
        .ignored(),
        Test::new("nftables::churn_for_some_seconds", || {
            churn::nothing_is_lost_while_others_change(Duration::from_secs(10), Layout::Nftables);
        }),
        Test::new("nftables::churn_for_a_minute", || {
            churn::nothing_is_lost_while_others_change(Duration::from_secs(60), Layout::Nftables);
        })
        .ignored(),
    ];
    let long = long.map(|test| test.time_limit(hour));
    all.chain(long).map(|test| test.needs(Needs::Debian))
}

fn run(scenario: &Scenario, layout: Layout) {
    tools::make_links(scenario);
    tools::run_before(scenario);
    let server = ApiServer::start();
    server.apply_step(objects(scenario, 1));
    let config = scenarios::read(&scenario.folder.join("proxy-config.yaml"));
    let setup = Setup::of(&server, &String::from_utf8(config).unwrap());
    // The layout of today needs no flag.
    let setup = match layout {
        Layout::Current => setup,
        other => setup.flag(&format!("--layout={}", other.as_str())),
    };
    // What was measured removes what it does not know; by default others' virtual servers stay.
    let setup = setup.flag("--remove-foreign-servers");
    let mut daemon = setup.started();
    for (n, step) in scenario.steps.iter().enumerate() {
        let number = n + 1;
        if number > 1 {
            let synced = daemon::syncs();
            server.apply_step(objects(scenario, number));
            // To look takes longer than to sync, and there is one processor for both. Not every step needs a sync.
            let soon = Instant::now() + Duration::from_secs(1);
            while daemon::syncs() <= synced && Instant::now() < soon {
                thread::sleep(Duration::from_millis(20));
            }
        }
        reach(scenario, number, step, layout, &setup, &mut daemon);
    }
}

/// The objects of a step, as they are written.
fn objects(scenario: &Scenario, step: usize) -> Vec<Value> {
    let path = scenario.folder.join(format!("step-{step}.yaml"));
    let text = String::from_utf8(scenarios::read(&path)).unwrap();
    let options = serde_saphyr::options! { strict_booleans: true };
    let objects: Vec<Value> = serde_saphyr::from_multiple_with_options(&text, options).unwrap();
    // A document of comments alone is none.
    objects.into_iter().filter(Value::is_object).collect()
}

/// Waits until the kernel holds what is expected; fails with the difference where it does not in time.
fn reach(
    scenario: &Scenario,
    number: usize,
    step: &Step,
    layout: Layout,
    setup: &Setup,
    daemon: &mut Daemon,
) {
    let name = format!("{}, step {number}", scenario.name);
    let holds = || compare(&name, &step.expected, &tools::snapshot(), layout);
    let deadline = Instant::now() + DEADLINE;
    // A difference is no failure yet, so it is not to be shown. Each test has a process of its own.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mut reached = false;
    while !reached && Instant::now() < deadline && daemon.is_running() {
        reached = panic::catch_unwind(AssertUnwindSafe(holds)).is_ok();
        if !reached {
            thread::sleep(Duration::from_millis(200));
        }
    }
    panic::set_hook(hook);
    if !reached {
        println!("{name}: kube-proxier said:\n{}", setup.log());
        assert!(daemon.is_running(), "{name}: kube-proxier has ended");
        holds();
    }
}
