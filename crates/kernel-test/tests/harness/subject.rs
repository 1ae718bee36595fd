//! The tests of the binary whose output is checked: they pass, and fail in every way.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use kernel_test::{Needs, Netns, Test, cmd, tests};

use super::{SUBJECT, assert_lines, command};

/// The tests that the subject has.
pub(super) fn subject() -> Vec<Test> {
    let limit = Duration::from_secs(1);
    let mut subject = Vec::from(tests![
        passes,
        prints,
        panics,
        panics_elsewhere,
        returns_an_error
    ]);
    subject.extend(tests![
        exits,
        aborts,
        leaves_a_process,
        writes,
        runs_tests_here
    ]);
    subject.extend(tests![hangs].map(|test| test.time_limit(limit)));
    subject.extend(tests![crashes_the_kernel, sleeps, meets_one, meets_other]);
    subject.extend([
        Test::new("here_passes", passes).needs(Needs::NetNamespace),
        Test::new("here_panics", panics).needs(Needs::NetNamespace),
        Test::new("here_exits", exits).needs(Needs::NetNamespace),
        Test::new("here_sleeps", sleeps).needs(Needs::NetNamespace),
        Test::new("here_hangs", hangs)
            .needs(Needs::NetNamespace)
            .time_limit(limit),
        Test::new("left_out", panics).ignored(),
    ]);
    subject
}

/// What a benchmark does: prints its arguments, and fails with the first.
pub(super) fn program() -> Result<(), String> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    println!("{arguments:?} {}", cmd("ipvsadm -Sn | wc -l"));
    match arguments.first() {
        Some(why) => Err(why.clone()),
        None => Ok(()),
    }
}

fn passes() {}

/// How many lines `prints` prints.
pub(super) const LINES: usize = 5_000;

fn prints() {
    let long = "x".repeat(80);
    for line in 0..LINES {
        println!("<{line} {long}>");
    }
    print!("end of stdout");
    eprintln!("on stderr");
}

fn panics() {
    assert_eq!(1 + 1, 3, "arithmetic");
}

fn panics_elsewhere() {
    Netns::new().unwrap().run(|| panic!("inside"));
}

fn returns_an_error() -> Result<(), String> {
    Err("the error's text".to_owned())
}

fn exits() {
    process::exit(0);
}

fn aborts() {
    process::abort();
}

fn leaves_a_process() {
    // It holds stdout open: waiting for its end would take long.
    Command::new("sleep").arg("1000").spawn().unwrap();
}

fn writes() {
    fs::write("/kernel-test-was-here", "").unwrap();
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("kept"), "text").unwrap();
}

/// Runs this binary once more, where the kernel has IPVS and we are root.
fn runs_tests_here() {
    let mut command = command("--exact passes", "1");
    for variable in ["IN_GUEST", "NAME", "REPORT"] {
        command.env_remove(format!("KERNEL_TEST_{variable}"));
    }
    let output = command.env_remove("PROXIER_KERNEL_TESTS_IN").output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_lines(&text, &["running 1 test\n", "1 passed; 0 failed"]);
    assert!(!text.contains("guest"), "{text}");
}

fn hangs() {
    sleep(Duration::from_secs(1000));
}

fn crashes_the_kernel() {
    cmd("echo c >/proc/sysrq-trigger");
}

fn meets_one() {
    meet("one", "other");
}

fn meets_other() {
    meet("other", "one");
}

/// Ends when the other test runs too.
fn meet(this: &str, other: &str) {
    fs::write(sleeping().with_extension(this), "").unwrap();
    let other = sleeping().with_extension(other);
    let until = Instant::now() + Duration::from_secs(100);
    while !other.exists() {
        assert!(Instant::now() < until, "nobody came");
        sleep(Duration::from_millis(20));
    }
}

/// Writes a marker file, then sleeps for long.
fn sleeps() {
    fs::write(sleeping(), "").unwrap();
    sleep(Duration::from_secs(1000));
}

fn sleeping() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(env::var(SUBJECT).unwrap())
}
