//! Tests of the harness: each runs this binary as one whose tests fail in every way, and checks its output.
#![expect(
    clippy::exit,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::zombie_processes,
    reason = "tests, and what they must not do"
)]

mod order;
mod subject;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use kernel_test::{Needs, script};
use libtest_mimic::{Arguments, Trial};

use self::subject::{LINES, program, subject};

/// Environment variable that is set in a process that acts as a test binary.
const SUBJECT: &str = "KERNEL_TEST_SUBJECT";
/// Its value in a process that acts as a benchmark.
const PROGRAM: &str = "program";

fn main() -> ExitCode {
    if env::var(SUBJECT).is_ok_and(|value| value == PROGRAM) {
        return kernel_test::exec(Needs::Ipvs, program);
    }
    // The guest's first process has only the guest's environment.
    if env::var_os(SUBJECT).is_some() || process::id() == 1 {
        return kernel_test::main(subject());
    }
    let trials = [
        ("failures_come_through", failures_come_through as fn()),
        ("a_filter_picks_tests", a_filter_picks_tests),
        ("listing_boots_nothing", listing_boots_nothing),
        ("skipping_says_so", skipping_says_so),
        ("a_program_runs_like_a_test", a_program_runs_like_a_test),
        ("a_wrong_choice_is_refused", a_wrong_choice_is_refused),
        (
            "tests_run_in_the_order_asked_for",
            order::tests_run_in_the_order_asked_for,
        ),
        (
            "missing_packages_are_named_and_not_installed",
            missing_packages_are_named_and_not_installed,
        ),
        ("a_dead_guest_fails_one_test", a_dead_guest_fails_one_test),
        (
            "tests_side_by_side_have_a_guest_each",
            tests_side_by_side_have_a_guest_each,
        ),
        (
            "the_guest_dies_with_the_harness",
            the_guest_dies_with_the_harness,
        ),
        (
            "a_test_here_dies_with_the_harness",
            a_test_here_dies_with_the_harness,
        ),
        (
            "failures_come_through_from_here",
            failures_come_through_from_here,
        ),
    ];
    let skipped = env::var_os("PROXIER_SKIP_KERNEL_TESTS").is_some();
    let trials = trials.map(|(name, run)| {
        let run = move || {
            run();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(skipped)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

/// The subject's process, with these arguments. Its stderr goes to its stdout.
fn command(arguments: &str, value: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"exec "$0" "$@" 2>&1"#])
        .arg(env::current_exe().unwrap())
        .args(arguments.split_whitespace())
        .env(SUBJECT, value)
        .env("PROXIER_KERNEL_TESTS_IN", "guest")
        .env_remove("RUST_BACKTRACE")
        .env_remove("PROXIER_SKIP_KERNEL_TESTS")
        .env_remove("PROXIER_KERNEL_TESTS_ORDER")
        .env_remove("PROXIER_KERNEL_TESTS_PART")
        .stdout(Stdio::piped());
    command
}

fn run(arguments: &str) -> (Output, String) {
    let output = command(arguments, "1").output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output, text)
}

/// Asserts that each of these lines, or parts of lines, is in the text.
#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "no {line:?} in:\n{text}");
    }
}

fn failures_come_through() {
    let (output, text) =
        run("--skip here_ --skip hangs --skip crashes --skip sleeps --skip meets --test-threads 4");
    assert_eq!(output.status.code(), Some(101), "{text}");
    assert_lines(
        &text,
        &[
            "running 11 tests",
            "tests run in a guest, User Mode Linux 6.",
            "end of stdout",
            "on stderr\n",
            "---- panics ----\npanicked at crates/kernel-test/tests/harness/subject.rs:",
            "assertion `left == right` failed: arithmetic\n  left: 2\n right: 3",
            "---- panics_elsewhere ----\npanicked at crates/kernel-test/tests/harness/subject.rs:",
            "\ninside\n",
            "---- returns_an_error ----\nthe error's text\n",
            "---- exits ----\nthe test's process ended with no result: exit status: 0",
            "---- aborts ----\nthe test's process ended with no result: signal: 6 (SIGABRT)",
            "5 passed; 5 failed; 1 ignored",
        ],
    );
    // The results of other tests may come in between, but no line is lost or split.
    let long = "x".repeat(80);
    let printed: BTreeSet<_> = text.split(['<', '>']).collect();
    let whole = (0..LINES).filter(|line| printed.contains(format!("{line} {long}").as_str()));
    assert_eq!(whole.count(), LINES);
    // The guest writes to its own tree, except below the target folder.
    assert!(!Path::new("/kernel-test-was-here").exists());
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kept");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "text");
    fs::remove_file(kept).unwrap();
}

fn a_filter_picks_tests() {
    let (output, text) = run("passes --exact");
    assert!(output.status.success(), "{text}");
    assert_lines(
        &text,
        &[
            "running 1 test\n",
            "test passes ... ok",
            "1 passed; 0 failed",
        ],
    );
}

fn listing_boots_nothing() {
    let (output, text) = run("--list");
    assert!(output.status.success(), "{text}");
    assert_lines(&text, &["panics_elsewhere: test", "here_hangs: test"]);
    assert!(!text.contains("guest"), "{text}");
}

fn skipping_says_so() {
    let output = command("", "1")
        .env("PROXIER_SKIP_KERNEL_TESTS", "1")
        .output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert_lines(
        &text,
        &[
            "kernel tests are not run: PROXIER_SKIP_KERNEL_TESTS is set",
            "0 passed; 0 failed; 21 ignored",
        ],
    );
}

fn a_program_runs_like_a_test() {
    let output = command("", PROGRAM).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_lines(&text, &["[] 0"]);
    let output = command("--why not", PROGRAM).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(101), "{text}");
    assert_lines(&text, &["[\"--why\", \"not\"] 0", "kernel-test: --why\n"]);
}

fn a_wrong_choice_is_refused() {
    for (variable, value, expected) in [
        ("IN", "heaven", "expected `guest` or `here`"),
        ("PART", "1", "expected `1/3`"),
        ("MEMORY", "3G", "expected a number of MiB"),
        ("CLOCK", "sun", "expected `instructions`"),
        (
            "ORDER",
            "random",
            "expected a number, which shuffles the tests, or `reverse`",
        ),
    ] {
        let variable = format!("PROXIER_KERNEL_TESTS_{variable}");
        let output = command("", "1").env(&variable, value).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stdout).unwrap();
        assert_lines(&text, &[&variable, value, expected]);
        assert!(!text.contains("running"), "{text}");
    }
}

/// With the folders of the guest kernel and of most tools hidden.
fn missing_packages_are_named_and_not_installed() {
    let folder = tempfile::tempdir().unwrap();
    let (called, stand_in) = (folder.path().join("called"), folder.path().join("apt-get"));
    script(&stand_in, &format!("touch {}\n", called.display()));
    let path = format!("{}:{}", folder.path().display(), env::var("PATH").unwrap());
    let hide = "mount -t tmpfs none /usr/sbin && mount -t tmpfs none /usr/lib/uml/modules";
    for (test, packages) in [
        ("passes", "user-mode-linux ipset ipvsadm iptables"),
        ("here_passes", "ipset ipvsadm iptables"),
    ] {
        let output = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c"])
            .arg(format!(r#"{hide} && exec "$0" "$@" 2>&1"#))
            .arg(env::current_exe().unwrap())
            .args(["--exact", test])
            .env(SUBJECT, "1")
            .env("PATH", &path)
            .env("PROXIER_KERNEL_TESTS_IN", "guest")
            .env_remove("PROXIER_SKIP_KERNEL_TESTS")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(101), "{text}");
        let line = format!("as root, run `apt-get install --no-install-recommends {packages} ");
        assert_lines(&text, &[&line, "0 passed; 1 failed"]);
    }
    assert!(!called.exists(), "apt-get was run");
}

fn a_dead_guest_fails_one_test() {
    // In this order. Each test has a guest of its own, because the one before is gone.
    let (output, text) = run(
        "s --skip here_ --skip meets --skip panics --skip exits --skip aborts \
         --skip returns --skip runs --skip sleeps --skip writes --skip leaves --skip prints --test-threads 1",
    );
    assert_eq!(output.status.code(), Some(101), "{text}");
    assert_lines(
        &text,
        &[
            "---- hangs ----\nstill running after 1 s, stopped",
            "---- crashes_the_kernel ----\nthe guest kernel stopped; the end of its console:\n",
            "Kernel panic - not syncing: sysrq triggered crash",
            "1 passed; 2 failed",
        ],
    );
}

fn tests_side_by_side_have_a_guest_each() {
    if thread::available_parallelism().is_ok_and(|processors| processors.get() == 1) {
        println!("one processor: there is one guest");
        return;
    }
    let mark = format!("meeting-{}", process::id());
    let output = command("meets --test-threads 2", &mark).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_lines(&text, &["2 passed; 0 failed"]);
    assert_eq!(text.matches("tests run in a guest").count(), 2, "{text}");
    for extension in ["one", "other"] {
        let marker = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&mark);
        fs::remove_file(marker.with_extension(extension)).unwrap();
    }
}

fn failures_come_through_from_here() {
    let started = Instant::now();
    let (output, text) = run("here_ --skip sleeps");
    assert_eq!(output.status.code(), Some(101), "{text}");
    assert_lines(
        &text,
        &[
            "---- here_panics ----\npanicked at crates/kernel-test/tests/harness/subject.rs:",
            "---- here_exits ----\nthe test's process ended with no result: exit status: 0",
            "---- here_hangs ----\nstill running after 1 s, stopped",
            "1 passed; 3 failed",
        ],
    );
    assert!(!text.contains("guest"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

fn the_guest_dies_with_the_harness() {
    dies_with_the_harness("sleeps", "guest");
}

fn a_test_here_dies_with_the_harness() {
    dies_with_the_harness("here_sleeps", "here");
}

/// Kills a harness while a test runs, and checks that no process is left.
fn dies_with_the_harness(test: &str, mark: &str) {
    let mark = format!("sleeping-{mark}-{}", process::id());
    let marker = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&mark);
    let temporary = tempfile::tempdir().unwrap(); // which a killed harness cannot tidy
    let mut harness = command(&format!("--exact {test}"), &mark)
        .env("TMPDIR", temporary.path())
        .spawn()
        .unwrap();
    wait_until("the test sleeps", || marker.exists());
    assert!(processes(&mark) > 1);
    harness.kill().unwrap();
    harness.wait().unwrap();
    wait_until("all processes have ended", || processes(&mark) == 0);
    fs::remove_file(marker).unwrap();
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "waiting until {what}"
        );
        sleep(Duration::from_millis(20));
    }
}

/// How many processes have this value of `SUBJECT` in their environment.
fn processes(value: &str) -> usize {
    let entry = format!("{SUBJECT}={value}");
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|process| fs::read(process.ok()?.path().join("environ")).ok())
        .filter(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|found| found == entry.as_bytes())
        })
        .count()
}
