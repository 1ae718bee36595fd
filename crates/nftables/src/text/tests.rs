//! What `nft` 1.0.6 printed of the captured rule set.

use crate::Ruleset;
use crate::message::{Item, Reply, captured, parse};
use crate::model::FilledSet;

const PRINTED: &str = include_str!("../../tests/data/ruleset.list");

/// The rule set as the kernel listed it to `nft`.
pub(crate) fn ruleset() -> Ruleset {
    let mut ruleset = Ruleset::default();
    for (direction, kind, _, payload) in captured() {
        let Ok(Reply::New(item)) = parse(kind, &payload) else {
            continue;
        };
        if direction == '>' {
            continue;
        }
        match item {
            Item::Table(table) => ruleset.tables.push(table),
            Item::Chain(chain) => ruleset.chains.push(chain),
            Item::Rule(rule) => ruleset.rules.push(rule),
            Item::Set(set) => ruleset.sets.push(FilledSet {
                set,
                elements: Vec::new(),
            }),
            Item::Elements(elements) => {
                let filled = ruleset.sets.iter_mut().find(|filled| {
                    filled.set.table == elements.table && filled.set.name == elements.set
                });
                filled.unwrap().elements.extend(elements.list.0);
            }
            Item::Object(object) => ruleset.objects.push(object),
            Item::Flowtable(flowtable) => ruleset.flowtables.push(flowtable),
        }
    }
    ruleset
}

#[test]
fn it_is_what_nft_printed() {
    let ours = ruleset().to_string();
    // What has no text here is a comment.
    let shown = "# rule 25 is not shown: no text for its expression \"payload\"";
    let theirs = PRINTED.replace("ip dscp set cs1", shown);
    for (ours, theirs) in ours.lines().zip(theirs.lines()) {
        // The time that it has still to live went on between listing and printing.
        let [ours, theirs] = [ours, theirs].map(|line| line.split(" expires ").next().unwrap());
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.lines().count(), theirs.lines().count());
}
