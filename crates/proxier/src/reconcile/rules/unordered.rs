//! Chains whose rules do not depend on their order, but for those at their end.

use std::collections::HashMap;

use iptables_restore::{Edit, Rule};

use super::change::Extent;
use crate::layout::OwnChain;

/// What makes a chain have the rules that are wanted, one by one; `None` where it is better written anew.
///
/// Rules that are found stay where they are. Where they are in the order of those that are wanted, the others are
/// inserted such that all are.
pub(super) fn edits(own: &OwnChain, found: &[Rule], extent: Extent) -> Option<Vec<Edit>> {
    let (wanted, tail) = own.rules.split_at_checked(own.rules.len() - own.tail)?;
    let body = match found.len().checked_sub(tail.len()) {
        Some(at) if found.get(at..)? == tail => found.get(..at)?,
        _ => return None,
    };
    if body.iter().any(|rule| tail.contains(rule)) {
        return None;
    }
    let mut missing: HashMap<&Rule, usize> = HashMap::new();
    for rule in wanted {
        *missing.entry(rule).or_default() += 1;
    }
    // Of rules that are there several times the last stays: a deletion takes the first.
    let mut keeps = vec![false; body.len()];
    for (rule, keeps) in body.iter().zip(&mut keeps).rev() {
        if let Some(count @ 1..) = missing.get_mut(rule) {
            *count -= 1;
            *keeps = true;
        }
    }
    let kept = |extent: Extent| {
        let rules = body.iter().zip(&keeps);
        rules.filter_map(move |(rule, keeps)| {
            (*keeps || extent == Extent::Meanwhile).then_some(rule)
        })
    };
    let mut edits = Vec::new();
    if extent == Extent::Final {
        let extra = body.iter().zip(&keeps).filter(|(_, keeps)| !**keeps);
        edits.extend(extra.map(|(rule, _)| Edit::Delete {
            chain: own.name.clone(),
            rule: rule.clone(),
        }));
    }
    let rest: Vec<_> = kept(extent).collect();
    let sorted = is_subsequence(kept(Extent::Final), wanted);
    let mut at = 0;
    let mut inserted = 0;
    for rule in wanted {
        // Where it stands already, go on behind it.
        if let Some(count @ 1..) = missing.get_mut(rule) {
            *count -= 1;
            let position = if sorted { at } else { rest.len() };
            edits.push(Edit::Insert {
                chain: own.name.clone(),
                position: position + inserted + 1,
                rule: rule.clone(),
            });
            inserted += 1;
        } else if sorted {
            let behind = rest.iter().skip(at).position(|kept| *kept == rule);
            at += behind.map_or(0, |behind| behind + 1);
        }
    }
    let too_many = edits.len() > own.rules.len() / 2 + 16;
    (extent == Extent::Meanwhile || !too_many).then_some(edits)
}

/// Whether these are in the order of `whole`.
fn is_subsequence<'a>(mut these: impl Iterator<Item = &'a Rule>, whole: &[Rule]) -> bool {
    let mut whole = whole.iter();
    these.all(|rule| whole.any(|other| other == rule))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use iptables_restore::{ChainName, RestoreInput, Ruleset, TableName};

    fn rules(names: &str) -> Vec<Rule> {
        let names = names.chars().map(|name| name.to_string());
        names.map(|name| Rule::new().comment(name)).collect()
    }

    fn own(wanted: &str, tail: usize) -> OwnChain {
        OwnChain {
            name: ChainName::new("X").unwrap(),
            shared: false,
            unordered: true,
            tail,
            rules: rules(wanted),
        }
    }

    /// The chain after the edits, or `None` where it is to be written anew; and how many there are.
    fn after(found: &str, wanted: &str, tail: usize, extent: Extent) -> Option<(String, usize)> {
        let own = own(wanted, tail);
        let edits = edits(&own, &rules(found), extent)?;
        let mut kernel = Ruleset::parse("*nat\n:X -\nCOMMIT\n").unwrap();
        let table = kernel.table_mut(&TableName::Nat).unwrap();
        table.chain_mut("X").unwrap().rules = rules(found).into();
        let count = edits.len();
        let mut input = RestoreInput::new();
        for edit in edits {
            input.table(TableName::Nat).push(edit).unwrap();
        }
        input.apply(&mut kernel).unwrap();
        let chain = kernel.table(&TableName::Nat).unwrap().chain("X").unwrap();
        let text = chain.rules.iter().map(ToString::to_string);
        let names = text.map(|rule| rule.split(' ').next_back().unwrap().to_owned());
        Some((names.collect(), count))
    }

    #[test]
    fn rules_come_where_they_belong_and_others_go() {
        for (found, wanted, tail, becomes, edits) in [
            ("", "abc", 0, "abc", 3),
            ("abc", "abc", 0, "abc", 0),
            ("ac", "abc", 0, "abc", 1),
            ("bd", "abcde", 0, "abcde", 3),
            ("axc", "abc", 0, "abc", 2),
            ("abbc", "abc", 0, "abc", 1),
            // Another's order is kept.
            ("cba", "abc", 0, "cba", 0),
            ("cba", "abcd", 0, "cbad", 1),
            // What comes last stays last.
            ("acz", "abcz", 1, "abcz", 1),
            ("caz", "abcz", 1, "cabz", 1),
            ("axyz", "ayz", 2, "ayz", 1),
        ] {
            let after = after(found, wanted, tail, Extent::Final);
            let expected = (becomes.to_owned(), edits);
            assert_eq!(after, Some(expected), "{found} to {wanted}");
        }
    }

    #[test]
    fn meanwhile_nothing_goes() {
        let after = |found, wanted| after(found, wanted, 0, Extent::Meanwhile).unwrap();
        assert_eq!(after("axc", "abc"), ("abxc".to_owned(), 1));
        assert_eq!(after("xx", "a"), ("axx".to_owned(), 1));
        assert_eq!(after("aab", "ab"), ("aab".to_owned(), 0));
    }

    #[test]
    fn a_chain_is_written_anew_where_its_end_is_wrong_or_most_changes() {
        assert_eq!(after("abz", "ab", 1, Extent::Final), None);
        assert_eq!(after("azb", "abz", 1, Extent::Final), None);
        assert_eq!(after("zaz", "az", 1, Extent::Final), None);
        assert_eq!(after("", "z", 1, Extent::Final), None);
        let found: String = ('a'..='z').collect();
        let wanted = found.to_uppercase();
        assert_eq!(after(&found, &wanted, 0, Extent::Final), None);
    }
}
