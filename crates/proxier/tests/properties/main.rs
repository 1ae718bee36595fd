//! What holds for every cluster, configuration and state found.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test that fails should panic"
)]

mod engine;
mod found;
mod held;
mod iptables;
mod localnet;
mod manifests;
mod marks;
mod moving;
mod ranges;
mod safety;
mod strategies;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use proxier::{
    Desired, Kernel, KernelError, KernelErrorKind, KernelPart, Layout, MemoryKernel, Observed,
    Plan, reconcile, translate,
};
use proxier_manifest::Snapshot;

use self::safety::Watch;
use self::strategies::{Case, case};

/// Carries a plan out on a kernel that holds `found`, which must go well.
fn carried_out(plan: &Plan, found: &Observed) -> Observed {
    let mut kernel = MemoryKernel::holding(found);
    let applied = kernel.apply(plan);
    assert!(applied.is_ok(), "{:?}\nplan:\n{plan}", applied.failures);
    kernel.state()
}

proptest! {
    #[test]
    fn one_run_is_enough_from_any_state(case in case()) {
        let Case { cluster, host, config, found } = case;
        let desired = translate(&cluster, &host, &config);
        let end = carried_out(&reconcile(&desired, &found), &found);
        let again = reconcile(&desired, &end);
        prop_assert!(again.is_empty(), "planned again:\n{again}");
        held::assert_holds(&desired, &end);
        held::assert_foreign_untouched(&desired, &BTreeSet::new(), &found, &end);
    }

    #[test]
    fn what_is_found_leaves_no_trace(case in case()) {
        let desired = translate(&case.cluster, &case.host, &case.config);
        let fresh = MemoryKernel::new().state();
        let from_nothing = carried_out(&reconcile(&desired, &fresh), &fresh);
        let found = held::without_connections(&case.found);
        let from_found = carried_out(&reconcile(&desired, &found), &found);
        prop_assert_eq!(
            held::own(&desired, &from_found),
            held::own(&desired, &from_nothing)
        );
        prop_assert_eq!(&from_found.tables, &from_nothing.tables);
        prop_assert_eq!(&from_found.routing, &from_nothing.routing);
    }

    /// Whatever layout and mode it was, and whoever meddled with it.
    #[test]
    fn cleaning_up_leaves_nothing(case in case()) {
        let Case { host, found, .. } = case;
        let desired = Desired::nothing(&found, &host);
        let end = carried_out(&reconcile(&desired, &found), &found);
        held::assert_nothing_left(&desired, &end);
        held::assert_foreign_untouched(&desired, &BTreeSet::new(), &found, &end);
        let again = reconcile(&Desired::nothing(&end, &host), &end);
        prop_assert!(again.is_empty(), "planned again:\n{again}");
    }

    #[test]
    fn every_prefix_of_a_plan_is_safe(case in case()) {
        let Case { cluster, host, config, found } = case;
        let desired = translate(&cluster, &host, &config);
        let plan = reconcile(&desired, &found);
        let end = carried_out(&plan, &found);
        let watch = Watch::new(&desired, &host, &found);
        let mut kernel = MemoryKernel::holding(&found);
        for (done, (phase, operation)) in plan.iter().enumerate() {
            kernel.perform(operation).unwrap();
            let state = kernel.state();
            let problems = watch.problems(&state);
            prop_assert!(
                problems.is_empty(),
                "after step {} ({phase:?}: {operation}): {problems:?}\nplan:\n{plan}", done + 1
            );
            held::assert_foreign_untouched(&desired, &BTreeSet::new(), &found, &state);
            // Going on from there reaches the same end.
            if done % 11 == 0 {
                let rest = reconcile(&desired, &state);
                let other_end = carried_out(&rest, &state);
                // Of a virtual server recognized by its address alone nothing tells once the address is unbound.
                let known = |state| Snapshot::of(&held::without_unrecognized(&desired, state));
                let [end, other_end] =
                    [&end, &other_end].map(|end| held::without_drained(&desired, end));
                prop_assert_eq!(known(&other_end), known(&end));
                if config.remove_foreign_servers {
                    prop_assert_eq!(Snapshot::of(&other_end), Snapshot::of(&end));
                }
            }
        }
    }

    #[test]
    fn failures_are_safe_and_made_good(case in case(), fail in prop::collection::vec(any::<Index>(), 1..4)) {
        let Case { cluster, host, config, found } = case;
        let desired = translate(&cluster, &host, &config);
        let plan = reconcile(&desired, &found);
        prop_assume!(!plan.is_empty());
        let doomed: Vec<_> =
            fail.iter().map(|index| plan.iter().nth(index.index(plan.len())).unwrap().1.clone()).collect();
        let watch = Watch::new(&desired, &host, &found);
        let mut kernel = MemoryKernel::holding(&found);
        kernel.fail_with(Some(Box::new(move |operation| {
            doomed.contains(operation).then(|| KernelError::new(KernelPart::of(operation), KernelErrorKind::Other, "by the test"))
        })));
        let applied = kernel.apply(&plan);
        prop_assert!(!applied.is_ok());
        let problems = watch.problems(&kernel.state());
        prop_assert!(problems.is_empty(), "{problems:?}\nfailed: {:?}\nplan:\n{plan}", applied.failures);
        kernel.fail_with(None);
        let next = reconcile(&desired, &kernel.state());
        let applied = kernel.apply(&next);
        prop_assert!(applied.is_ok(), "{:?}\nnext plan:\n{next}", applied.failures);
        held::assert_holds(&desired, &kernel.state());
    }

    #[test]
    fn the_order_of_objects_does_not_matter(
        cluster in strategies::cluster(),
        host in strategies::host(),
        config in strategies::config(),
        seed in any::<u64>(),
    ) {
        let documents = manifests::shuffled(&cluster, seed);
        let reading = proxier_manifest::read_cluster("test", documents.as_bytes());
        prop_assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
        let desired = translate(&cluster, &host, &config);
        prop_assert_eq!(translate(&reading.cluster, &host, &config), desired);
    }

    #[test]
    fn the_number_of_rules_does_not_depend_on_the_number_of_services(
        cluster in strategies::cluster(),
        host in strategies::host(),
        // Iptables mode has rules for each of them.
        config in strategies::config_in(&[Layout::Current, Layout::Classic, Layout::Nftables]),
    ) {
        // It would have an address of the first copy, and of none of the others.
        let mut host = host;
        host.api_servers = BTreeSet::new();
        // In layouts with ipset each range has rules, and each port that joins them.
        let cluster = ranges::without(&cluster);
        let rules = |cluster| {
            let desired = translate(cluster, &host, &config);
            let fresh = MemoryKernel::new().state();
            held::rules_but_drops(&carried_out(&reconcile(&desired, &fresh), &fresh))
        };
        let once = rules(&cluster);
        let more = rules(&strategies::repeated(&cluster, 5));
        prop_assert_eq!(once, more);
    }
}

/// How many stories are tried in a quarter: of 10,000, or of as many as `PROPTEST_CASES` says.
fn stories(quarter: u64) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    // A seed is one for all tests; the quarters are to be different ones.
    if let RngSeed::Fixed(seed) = &mut config.rng_seed {
        *seed = seed.wrapping_add(quarter);
    }
    let told = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if told { config.cases } else { 10_000 };
    ProptestConfig {
        cases: cases.div_ceil(4),
        ..config
    }
}

/// In four quarters, which run side by side.
macro_rules! quarters {
    ($($name:ident $quarter:literal)+) => {$(
        proptest! {
            #![proptest_config(stories($quarter))]

            #[test]
            fn $name(story in engine::story()) {
                engine::follow(story);
            }
        }
    )+};
}

quarters! {
    the_engine_comes_to_what_the_full_path_comes_to_1 1
    the_engine_comes_to_what_the_full_path_comes_to_2 2
    the_engine_comes_to_what_the_full_path_comes_to_3 3
    the_engine_comes_to_what_the_full_path_comes_to_4 4
}
