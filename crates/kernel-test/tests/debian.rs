//! Debian's kernel in QEMU: what tests find there, and what becomes of failures, crashes and hangs.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, and what they must not do"
)]

use std::process::{Command, ExitCode, Stdio, id};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use std::{env, fs};

use kernel_test::{Needs, Test, cmd, tests};
use libtest_mimic::{Arguments, Trial};

/// Environment variable that is set in a process that acts as a test binary.
const SUBJECT: &str = "KERNEL_TEST_SUBJECT";

fn main() -> ExitCode {
    if env::var_os(SUBJECT).is_some() || id() == 1 {
        return kernel_test::main(subject());
    }
    let skipped = env::var_os("PROXIER_SKIP_KERNEL_TESTS").is_some();
    let trials = [
        (
            "tests_run_and_failures_come_through",
            tests_run_and_failures_come_through as fn(),
        ),
        ("a_dead_kernel_fails_one_test", a_dead_kernel_fails_one_test),
        (
            "the_clock_counts_instructions",
            the_clock_counts_instructions,
        ),
    ]
    .map(|(name, run)| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
        .with_ignored_flag(skipped)
    });
    let mut arguments = Arguments::from_args();
    // Each has a guest with as many processors as a small machine.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

/// The tests that the subject has.
fn subject() -> Vec<Test> {
    let limit = Duration::from_secs(1);
    let mut subject = Vec::from(tests![
        two_processors_and_debians_kernel,
        nf_tables_and_ipvs,
        nothing_is_there_and_writes_are_kept,
        prints_and_panics,
        crashes_the_kernel,
        a_loop_takes_its_instructions,
    ]);
    subject.extend(tests![hangs].map(|test| test.time_limit(limit)));
    let mut subject: Vec<_> = subject
        .into_iter()
        .map(|test| test.needs(Needs::Debian))
        .collect();
    // On this kernel if it is asked for.
    subject.push(Test::new(
        "needs_only_ipvs",
        two_processors_and_debians_kernel,
    ));
    subject
}

fn two_processors_and_debians_kernel() {
    assert_eq!(thread::available_parallelism().unwrap().get(), 2);
    let release = cmd("uname -r");
    assert!(release.trim_end().ends_with("-amd64"), "{release}");
    println!("on {release}");
}

fn nf_tables_and_ipvs() {
    let service = "-A -t 10.0.0.1:80 -s rr\n";
    assert_eq!(cmd("ipvsadm -Sn"), "");
    cmd("ipvsadm -A -t 10.0.0.1:80 -s rr");
    assert_eq!(cmd("ipvsadm -Sn"), service);
    cmd(
        "nft add table ip t && nft add set ip t s '{ type ipv4_addr . inet_proto . inet_service; }'",
    );
    cmd("nft add element ip t s '{ 10.0.0.1 . tcp . 80 }'");
    assert!(cmd("nft list ruleset").contains("elements = { 10.0.0.1 . tcp . 80 }"));
    // Both flavours of iptables.
    for flavour in ["legacy", "nft"] {
        cmd(&format!(
            "iptables-{flavour} -t nat -A POSTROUTING -j MASQUERADE"
        ));
        let rules = cmd(&format!("iptables-{flavour}-save -t nat"));
        assert!(rules.contains("-A POSTROUTING -j MASQUERADE"), "{rules}");
    }
}

fn nothing_is_there_and_writes_are_kept() {
    assert_eq!(cmd("ipvsadm -Sn"), "");
    assert_eq!(cmd("nft list ruleset"), "");
    fs::write("/kernel-test-was-here", "").unwrap();
    let kept = env::var_os(SUBJECT).unwrap();
    fs::write(kept, "kept").unwrap();
}

fn prints_and_panics() {
    for line in 0..200 {
        println!("<{line} {}>", "x".repeat(80));
    }
    assert_eq!(1 + 1, 3, "arithmetic");
}

fn hangs() {
    sleep(Duration::from_secs(1000));
}

fn crashes_the_kernel() {
    cmd("echo c >/proc/sysrq-trigger");
}

/// On one processor, whose clock runs ahead while it has nothing to do.
fn a_loop_takes_its_instructions() {
    assert_eq!(thread::available_parallelism().unwrap().get(), 1);
    sleep(Duration::from_secs(1000));
    let times = [1_u32, 1, 2].map(|times| {
        let start = Instant::now();
        for n in 0..times * 1_000_000 {
            std::hint::black_box(n);
        }
        start.elapsed().as_micros()
    });
    // What timers and the scheduler do in between is little.
    let [first, second, twice] = times;
    assert!(first.abs_diff(second) * 20 < first, "{times:?}");
    assert!(twice.abs_diff(2 * first) * 20 < first, "{times:?}");
    // At least one instruction, and not a thousand.
    assert!((1_000..1_000_000).contains(&first), "{times:?}");
}

/// Runs the subject with these arguments, and returns its exit status and output.
fn run(arguments: &str, kept: &str) -> (Option<i32>, String) {
    run_with_clock("", arguments, kept)
}

fn run_with_clock(clock: &str, arguments: &str, kept: &str) -> (Option<i32>, String) {
    let output = Command::new("sh")
        .args(["-c", r#"exec "$0" "$@" 2>&1"#])
        .arg(env::current_exe().unwrap())
        .args(arguments.split_whitespace())
        .args(["--test-threads", "1"])
        .env(SUBJECT, kept)
        .env("PROXIER_KERNEL_TESTS_IN", "debian")
        .env("PROXIER_KERNEL_TESTS_CLOCK", clock)
        .env_remove("RUST_BACKTRACE")
        .env_remove("PROXIER_SKIP_KERNEL_TESTS")
        .env_remove("PROXIER_KERNEL_TESTS_ORDER")
        .env_remove("PROXIER_KERNEL_TESTS_PART")
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

/// Asserts that each of these lines, or parts of lines, is in the text.
#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "no {line:?} in:\n{text}");
    }
}

fn tests_run_and_failures_come_through() {
    let kept = format!("{}/debian-{}", env!("CARGO_TARGET_TMPDIR"), id());
    let (status, text) = run("--skip hangs --skip crashes --skip a_loop", &kept);
    assert_eq!(status, Some(101), "{text}");
    assert_lines(
        &text,
        &[
            "kernel-test: tests run in a guest, Debian's kernel in QEMU, ",
            "-amd64\n",
            "test needs_only_ipvs ",
            "---- prints_and_panics ----\npanicked at crates/kernel-test/tests/debian.rs:",
            "arithmetic\n  left: 2\n right: 3",
            "4 passed; 1 failed",
        ],
    );
    for line in 0..200 {
        assert_lines(&text, &[&format!("<{line} {}>\n", "x".repeat(80))]);
    }
    assert_eq!(text.matches("tests run in a guest").count(), 1, "{text}");
    assert!(!fs::exists("/kernel-test-was-here").unwrap());
    assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
    fs::remove_file(kept).unwrap();
}

fn the_clock_counts_instructions() {
    let (status, text) = run_with_clock("instructions", "a_loop", "");
    assert_eq!(status, Some(0), "{text}");
    assert_lines(&text, &["1 passed; 0 failed"]);
    let (status, text) = run_with_clock("minutes", "a_loop", "");
    assert_eq!(status, Some(1), "{text}");
    assert_lines(&text, &["minutes", "expected `instructions`"]);
}

fn a_dead_kernel_fails_one_test() {
    // In this order. Each test has a guest of its own, because the one before is gone.
    let (status, text) = run(
        "--skip two --skip nf_ --skip nothing --skip prints --skip a_loop",
        "",
    );
    assert_eq!(status, Some(101), "{text}");
    assert_lines(
        &text,
        &[
            "---- hangs ----\nstill running after 5 s, stopped",
            "---- crashes_the_kernel ----\nthe guest kernel stopped; the end of its console:\n",
            "Kernel panic - not syncing: sysrq triggered crash",
            "1 passed; 2 failed",
        ],
    );
}
