//! The order of the tests.

use super::{assert_lines, command};

pub(super) fn tests_run_in_the_order_asked_for() {
    let listed = names_in_order("", "");
    let reversed = names_in_order(
        "reverse",
        "in reverse order (PROXIER_KERNEL_TESTS_ORDER=reverse)",
    );
    assert!(reversed.iter().rev().eq(&listed), "{reversed:?}");
    let seventh = "in the order of seed 7 (PROXIER_KERNEL_TESTS_ORDER=7)";
    let shuffled = names_in_order("7", seventh);
    assert_eq!(shuffled, names_in_order("7", seventh));
    assert!(shuffled != listed && shuffled != reversed, "{shuffled:?}");
    // The list stays as it is.
    let list = command("--list", "1")
        .env("PROXIER_KERNEL_TESTS_ORDER", "7")
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let names: Vec<_> = list
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(names, listed);
}

/// The subject's tests as they are reported, one after the other, and none of them run.
fn names_in_order(order: &str, notice: &str) -> Vec<String> {
    let output = command("--test-threads 1", "1")
        .env("PROXIER_SKIP_KERNEL_TESTS", "1")
        .env("PROXIER_KERNEL_TESTS_ORDER", order)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_lines(&text, &[notice]);
    assert_eq!(
        text.contains("kernel-test: tests run "),
        !notice.is_empty(),
        "{text}"
    );
    let tests = text
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.split_once(' '));
    let names: Vec<_> = tests
        .filter(|(name, _)| *name != "result:")
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(names.len(), 21, "{text}");
    names
}
