//! kube-proxier on a real kernel: every scenario, every step, told by an API server and read back with the
//! reference tools.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails should panic, and show what the daemon said"
)]

#[path = "../support/api_server/mod.rs"]
mod api_server;
#[path = "../../../crates/proxier/tests/common/mod.rs"]
mod common;
mod daemon;
#[path = "../../../crates/proxier/tests/kernel/tools.rs"]
mod tools;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use kernel_test::Test;
use proxier::Layout;
use serde_json::Value;

use self::api_server::ApiServer;
use self::common::{Scenario, Step, all, compare};
use self::daemon::Daemon;

/// How long a step may take until it is in the kernel.
const DEADLINE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let each = Layout::ALL.into_iter().flat_map(|layout| {
        all(layout).into_iter().map(move |scenario| {
            Test::new(format!("scenario::{}", scenario.name), move || {
                run(&scenario, layout);
            })
            .time_limit(Duration::from_secs(300))
        })
    });
    kernel_test::main(each)
}

fn run(scenario: &Scenario, layout: Layout) {
    tools::make_links(scenario);
    tools::run_before(scenario);
    let server = ApiServer::start();
    server.apply_step(objects(scenario, 1));
    let mut daemon = Daemon::start(scenario, layout, &server);
    for (n, step) in scenario.steps.iter().enumerate() {
        let number = n + 1;
        server.apply_step(objects(scenario, number));
        reach(scenario, number, step, layout, &mut daemon);
    }
}

/// The objects of a step, as they are written.
fn objects(scenario: &Scenario, step: usize) -> Vec<Value> {
    let path = scenario.folder.join(format!("step-{step}.yaml"));
    let text = String::from_utf8(common::read(&path)).unwrap();
    let options = serde_saphyr::options! { strict_booleans: true };
    let objects: Vec<Value> = serde_saphyr::from_multiple_with_options(&text, options).unwrap();
    // A document of comments alone is none.
    objects.into_iter().filter(Value::is_object).collect()
}

/// Waits until the kernel holds what is expected; fails with the difference where it does not in time.
fn reach(scenario: &Scenario, number: usize, step: &Step, layout: Layout, daemon: &mut Daemon) {
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
        println!("{name}: kube-proxier said:\n{}", daemon.log());
        assert!(daemon.is_running(), "{name}: kube-proxier has ended");
        holds();
    }
}
