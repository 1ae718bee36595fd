//! Text captured from the real tool reads in and prints back the same.
#![allow(missing_docs, reason = "a test")]

use ipset_netlink::{Listing, Set, SetType, parse_save};

const LINUX_6_1: &str = include_str!("data/save-linux-6.1.txt");
const LINUX_6_18: &str = include_str!("data/save-linux-6.18.txt");

fn printed(sets: &[Set]) -> String {
    sets.iter().map(Set::to_string).collect()
}

fn without_comments(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn what_ipset_saved_prints_back_the_same() {
    for text in [LINUX_6_1, LINUX_6_18] {
        let sets = parse_save(text).unwrap();
        assert_eq!(printed(&sets), without_comments(text));
    }
}

#[test]
fn every_type_is_among_the_captured() {
    let sets = parse_save(LINUX_6_1).unwrap();
    for set_type in SetType::ALL {
        let found = sets
            .iter()
            .any(|set| set.spec.set_type == set_type && !set.entries.is_empty());
        assert!(found, "{set_type}");
    }
}

/// `ipset save` of kube-proxy's sets, from the scenarios of this project, where the lines are
/// sorted.
#[test]
fn scenarios_print_back_the_same() {
    for text in [
        include_str!("data/scenario-dual-stack.txt"),
        include_str!("data/scenario-lb-source-ranges-with-node.txt"),
        include_str!("data/scenario-nodeport-tcp-udp-sctp.txt"),
        include_str!("data/scenario-stale-state-found.txt"),
    ] {
        let (creates, adds): (Vec<_>, Vec<_>) =
            text.lines().partition(|line| line.starts_with("create"));
        let saved = [creates, adds].concat().join("\n");
        let sets = parse_save(&saved).unwrap();
        let mut lines: Vec<_> = sets
            .iter()
            .flat_map(Set::lines)
            .map(|line| line.to_string())
            .collect();
        lines.sort();
        assert_eq!(lines, text.lines().collect::<Vec<_>>());
    }
}

/// Time went on between the two captures.
fn without_timeouts(text: &str) -> String {
    let mut words = text.split(' ').peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        if word == "timeout" {
            let digits = |c: char| c.is_ascii_digit();
            kept.extend(
                words
                    .next()
                    .map(|seconds| seconds.trim_start_matches(digits)),
            );
        }
    }
    kept.join(" ")
}

/// `ipset list` of Linux 6.1: the same sets as in the saved text, header and members.
#[test]
fn listings_are_those_of_ipset_list() {
    let sets = parse_save(LINUX_6_1).unwrap();
    let listed = include_str!("data/list-linux-6.1.txt");
    let mut compared = 0;
    for block in listed.split("\n\n") {
        let value = |key: &str| block.lines().find_map(|line| line.strip_prefix(key));
        let set = sets
            .iter()
            .find(|set| Some(set.spec.name.as_str()) == value("Name: "))
            .unwrap();
        let mut listing = Listing::new(set);
        listing.revision = value("Revision: ").map(|text| text.parse().unwrap());
        listing.memory_size = value("Size in memory: ").map(|text| text.parse().unwrap());
        listing.references = value("References: ").map(|text| text.parse().unwrap());
        assert_eq!(
            without_timeouts(listing.to_string().trim_end()),
            without_timeouts(block.trim_end())
        );
        compared += 1;
    }
    assert_eq!(compared, sets.len() - 1, "hipp was left out of the listing");
}
