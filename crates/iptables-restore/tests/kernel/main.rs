//! The real tools on real kernels: the legacy ones in the guest, those of nft in a namespace of this machine's kernel, or of
//! Debian's kernel where `PROXIER_KERNEL_TESTS_IN=debian` asks for it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod differential;
mod errors;
mod extensions;
mod files;
mod others;
mod refusals;
mod runner;
mod written;

use std::process::ExitCode;
use std::time::Duration;

use iptables_restore::{
    Backend, Chain, Family, RestoreInput, Ruleset, SaveFormat, SaveOptions, Table, ToolFinder,
    Tools,
};
use kernel_test::{Needs, Test, cmd};

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for backend in [Backend::Legacy, Backend::Nft] {
        for (name, body) in BODIES {
            let test = Test::new(format!("{backend}::{name}"), move || body(backend));
            tests.push(test.needs(match backend {
                Backend::Legacy => Needs::Ipvs,
                // Linux 6.1 refuses a rule that leads into a circle even where no base chain leads there; the
                // model accepts it, as newer kernels do.
                Backend::Nft if *name == "random_edits_do_what_the_model_says" => {
                    Needs::NetNamespace
                }
                Backend::Nft => Needs::NfTables,
            }));
        }
    }
    tests.push(Test::new(
        "legacy::the_lock_of_old_tools",
        runner::the_lock_of_old_tools,
    ));
    tests.push(Test::new(
        "legacy::rules_of_a_service_proxy",
        written::rules_of_a_service_proxy,
    ));
    for (name, body) in LEGACY_ONLY {
        tests.push(Test::new(format!("legacy::{name}"), *body));
    }
    for (name, body) in NFT_ONLY {
        tests.push(Test::new(format!("nft::{name}"), *body).needs(Needs::NfTables));
    }
    kernel_test::main(tests)
}

type Body = fn(Backend);

const BODIES: &[(&str, Body)] = &[
    (
        "captured_rules_come_back",
        written::captured_rules_come_back,
    ),
    ("random_rules_come_back", written::random_rules_come_back),
    (
        "what_is_just_not_too_long",
        written::what_is_just_not_too_long,
    ),
    (
        "rules_of_the_tool_are_read",
        written::rules_of_the_tool_are_read,
    ),
    (
        "random_edits_do_what_the_model_says",
        differential::random_edits_do_what_the_model_says,
    ),
    (
        "each_refusal_names_its_edit",
        errors::each_refusal_names_its_edit,
    ),
    (
        "what_only_the_commit_shows",
        errors::what_only_the_commit_shows,
    ),
    ("texts_made_elsewhere", errors::texts_made_elsewhere),
    (
        "tables_are_committed_one_by_one",
        errors::tables_are_committed_one_by_one,
    ),
    (
        "a_dry_run_changes_nothing",
        errors::a_dry_run_changes_nothing,
    ),
    ("not_permitted", errors::not_permitted),
    ("the_lock", runner::the_lock),
    ("counters", runner::counters),
    ("jumps_only_where_missing", runner::jumps_only_where_missing),
    ("the_back_end_in_use", runner::the_back_end_in_use),
    ("bytes_of_others_survive", others::bytes_of_others_survive),
    ("spellings", others::spellings),
    (
        "typed_extensions_come_back",
        extensions::typed_extensions_come_back,
    ),
    (
        "files_do_what_the_model_says",
        files::files_do_what_the_model_says,
    ),
    (
        "a_jump_found_twice_is_there_once_afterwards",
        others::a_jump_found_twice_is_there_once_afterwards,
    ),
    (
        "patterns_with_an_apostrophe",
        others::patterns_with_an_apostrophe,
    ),
];

const LEGACY_ONLY: &[(&str, fn())] = &[
    ("counters_of_files", files::counters_of_files),
    ("refusals_of_files", files::refusals_of_files),
    (
        "random_files_do_what_the_model_says",
        files::random_files_do_what_the_model_says,
    ),
];

const NFT_ONLY: &[(&str, fn())] = &[
    (
        "a_table_with_rules_of_nft",
        others::a_table_with_rules_of_nft,
    ),
    ("base_chains_of_nft", others::base_chains_of_nft),
    (
        "a_base_chain_of_nft_is_not_overwritten",
        others::a_base_chain_of_nft_is_not_overwritten,
    ),
    ("a_long_name_of_nft", others::a_long_name_of_nft),
];

fn tools(backend: Backend, family: Family) -> Tools {
    // The guest is slow where other tests run beside it.
    let tools = ToolFinder::new().backend(backend).find(family).unwrap();
    tools.time_limit(Duration::from_secs(60))
}

fn saved(tools: &Tools) -> Ruleset {
    tools.save(&SaveOptions::default()).unwrap()
}

/// An input that makes the tables what they are in `ruleset`, from empty ones.
fn all_of(ruleset: &Ruleset) -> RestoreInput {
    let mut input = RestoreInput::new();
    for table in &ruleset.tables {
        let edits = input.table(table.name.clone());
        for Chain { name, policy, .. } in &table.chains {
            match policy {
                None => edits.declare_chain(name).unwrap(),
                Some(policy) => edits.set_policy(name, policy.clone()).unwrap(),
            };
        }
        for chain in &table.chains {
            for rule in &chain.rules {
                edits.append(&chain.name, rule.clone()).unwrap();
            }
        }
    }
    input
}

/// Each chain's lines, for chains come in an order of the tool's own.
fn lines(table: &Table) -> Vec<String> {
    let mut chains: Vec<_> = table.chains.iter().collect();
    chains.sort_by_key(|chain| chain.name.as_str());
    let one = |chain: &Chain| {
        let table = Table {
            name: table.name.clone(),
            chains: vec![chain.clone()],
        };
        table.display(SaveFormat::PLAIN).to_string()
    };
    chains.into_iter().map(one).collect()
}

/// Compares the tables that `expected` has.
#[track_caller]
fn assert_same(found: &Ruleset, expected: &Ruleset) {
    for table in &expected.tables {
        let found = found
            .table(&table.name)
            .unwrap_or_else(|| panic!("no table {}", table.name));
        assert_eq!(lines(found), lines(table));
    }
}

/// Makes the sets that the rules need.
fn make_sets(ruleset: &Ruleset, family: Family) {
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    for rule in chains.flat_map(|chain| &chain.rules) {
        for name in rule.set_names() {
            let family = if family == Family::V4 {
                "inet"
            } else {
                "inet6"
            };
            cmd(&format!(
                "ipset create {name} hash:ip,port,ip family {family} -exist"
            ));
        }
    }
}

fn data(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}
