//! Bodies of the fuzz targets (feature `fuzz`). The tests here replay the captured messages.
//!
//! They change with the crate and follow no version.

use netlink_packet_core::Emitable;
use netlink_wire::Writer;

use crate::message::{Item, Operation, Reply, Verb, parse};
use crate::model::{DataType, FilledSet, Ruleset, Set, Table};
use crate::wire::Attributes;

/// A message of nf_tables: two bytes of type, in network byte order, and what follows the netlink header.
/// What is read from it is written so that it is read again the same.
///
/// # Panics
/// If it is not.
pub fn message(bytes: &[u8]) {
    let Some((kind, payload)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let message_type = u16::from_be_bytes(*kind);
    match parse(message_type, payload) {
        Ok(Reply::New(item) | Reply::Deleted(item)) => {
            let operation = Operation {
                verb: Verb::Add,
                item,
            };
            if operation.overflows() {
                return;
            }
            // Neither panics; what a request leaves out does not come back.
            emitted(&operation);
            let item = operation.item;
            printed(&item);
            assert_eq!(
                parse(item.message_type(), &emitted(&item)),
                Ok(Reply::New(item))
            );
        }
        Ok(Reply::Generation(generation)) => {
            let mut buffer = vec![0; bytes.len() + 16];
            let mut writer = Writer::new(&mut buffer);
            generation.encode(&mut writer);
            let length = writer.len();
            let read = buffer.get(..length).map(Attributes::decode);
            assert_eq!(read, Some(Ok(generation)));
        }
        Ok(Reply::Other(_)) | Err(_) => {}
    }
}

/// Prints a rule set that has this in it.
fn printed(item: &Item) {
    let mut ruleset = Ruleset::default();
    match item.clone() {
        Item::Table(table) => ruleset.tables.push(table),
        Item::Chain(chain) => ruleset.chains.push(chain),
        Item::Rule(rule) => _ = ruleset.rule_text(&rule),
        Item::Set(set) => ruleset.sets.push(FilledSet {
            set,
            elements: Vec::new(),
        }),
        Item::Elements(elements) => {
            let set = Set::new(
                elements.family,
                elements.table,
                elements.set,
                &[DataType::IPV4_ADDR, DataType::INET_SERVICE],
            );
            let elements = elements.list.0;
            for set in [set.clone(), set.intervals()] {
                let elements = elements.clone();
                ruleset.sets.push(FilledSet { set, elements });
            }
        }
        Item::Object(object) => ruleset.objects.push(object),
        Item::Flowtable(flowtable) => ruleset.flowtables.push(flowtable),
    }
    let families = ruleset
        .sets
        .iter()
        .map(|filled| (filled.set.family, &filled.set.table));
    let families = families.chain(
        ruleset
            .chains
            .iter()
            .map(|chain| (chain.family, &chain.table)),
    );
    let tables: Vec<_> = families
        .map(|(family, name)| Table::new(family, name.clone()))
        .collect();
    ruleset.tables.extend(tables);
    ruleset.to_string();
}

fn emitted(message: &impl Emitable) -> Vec<u8> {
    let mut buffer = vec![0; message.buffer_len()];
    message.emit(&mut buffer);
    buffer
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::captured;

    fn seeds() -> Vec<Vec<u8>> {
        let bytes = |(_, kind, _, payload): (_, u16, _, Vec<u8>)| {
            [&kind.to_be_bytes()[..], &payload].concat()
        };
        captured().map(bytes).collect()
    }

    #[test]
    fn committed_seeds() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/message");
        let seeds = netlink_wire::seeds::replay(folder, 0, message).unwrap();
        assert!(seeds > 10);
    }

    #[test]
    fn captured_messages_cut_off_and_damaged() {
        for seed in seeds() {
            netlink_wire::seeds::damage(&seed, usize::MAX, message);
        }
    }

    proptest! {
        #[test]
        fn any_bytes(kind in 0_u8..34, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            message(&[&[10, kind][..], &bytes].concat());
        }

        #[test]
        fn captured_messages_with_parts_of_others(
            first in any::<prop::sample::Index>(),
            second in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            from in any::<prop::sample::Index>(),
            length in 1_usize..64,
        ) {
            let seeds = seeds();
            let (mut bytes, donor) = (first.get(&seeds).clone(), second.get(&seeds));
            // Aligned, so that whole attributes take the place of others.
            let at = (at.index(bytes.len()) & !3) + 2;
            let from = (from.index(donor.len()) & !3) + 2;
            let part = donor.iter().skip(from).take(length * 4);
            for (place, byte) in bytes.iter_mut().skip(at).zip(part) {
                *place = *byte;
            }
            message(&bytes);
        }
    }
}
