//! How many rules of shared chains come before those of a Service.

use crate::cluster::ObjectName;
use crate::layout::SharedChain;

/// A number for each shared chain.
pub(super) type Counts = [usize; SharedChain::COUNT];

/// The Services in order, with how many rules each has in the shared chains. They are kept in blocks, so that neither a
/// change nor a look costs what all Services cost.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    blocks: Vec<Block>,
}

#[derive(Debug, Default)]
struct Block {
    services: Vec<(ObjectName, Counts)>,
    total: Counts,
}

/// How many Services a block has at most.
const BLOCK: usize = 256;

impl Ranks {
    /// Of Services sorted by name.
    pub(super) fn new(services: impl IntoIterator<Item = (ObjectName, Counts)>) -> Self {
        let mut ranks = Self::default();
        let mut block = Block::default();
        for (name, counts) in services {
            block.add(&counts);
            block.services.push((name, counts));
            if block.services.len() >= BLOCK / 2 {
                ranks.blocks.push(std::mem::take(&mut block));
            }
        }
        if !block.services.is_empty() {
            ranks.blocks.push(block);
        }
        ranks
    }

    /// How many rules of each chain are those of Services before this one.
    pub(super) fn before(&self, name: &ObjectName) -> Counts {
        let mut before = Counts::default();
        let at = self.block_of(name);
        for block in self.blocks.iter().take(at) {
            add(&mut before, &block.total);
        }
        let services = self.blocks.get(at).into_iter().flat_map(|b| &b.services);
        for (_, counts) in services.take_while(|(other, _)| other < name) {
            add(&mut before, counts);
        }
        before
    }

    /// A Service has these rules now.
    pub(super) fn set(&mut self, name: &ObjectName, counts: Counts) {
        let none = counts == Counts::default();
        if self.blocks.is_empty() {
            if none {
                return;
            }
            self.blocks.push(Block::default());
        }
        let at = self.block_of(name);
        let Some(block) = self.blocks.get_mut(at) else {
            return;
        };
        match block
            .services
            .binary_search_by(|(other, _)| other.cmp(name))
        {
            Ok(place) if none => drop(block.services.remove(place)),
            Ok(place) => {
                if let Some((_, known)) = block.services.get_mut(place) {
                    *known = counts;
                }
            }
            Err(_) if none => return,
            Err(place) => block.services.insert(place, (name.clone(), counts)),
        }
        let rest = match block.services.len() {
            len if len > BLOCK => block.services.split_off(len / 2),
            _ => Vec::new(),
        };
        block.count();
        if block.services.is_empty() {
            self.blocks.remove(at);
        }
        if !rest.is_empty() {
            let mut next = Block {
                services: rest,
                total: Counts::default(),
            };
            next.count();
            self.blocks.insert(at + 1, next);
        }
    }

    /// How many rules each chain has.
    pub(super) fn total(&self) -> Counts {
        let mut total = Counts::default();
        for block in &self.blocks {
            add(&mut total, &block.total);
        }
        total
    }

    /// The names in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectName> {
        let services = self.blocks.iter().flat_map(|block| &block.services);
        services.map(|(name, _)| name)
    }

    /// The place of the block that a Service is in, or would be.
    fn block_of(&self, name: &ObjectName) -> usize {
        let starts_before = |block: &Block| block.services.first().is_some_and(|(n, _)| n <= name);
        self.blocks.partition_point(starts_before).saturating_sub(1)
    }
}

impl Block {
    fn add(&mut self, counts: &Counts) {
        add(&mut self.total, counts);
    }

    fn count(&mut self) {
        self.total = Counts::default();
        for (_, counts) in &self.services {
            add(&mut self.total, counts);
        }
    }
}

fn add(all: &mut Counts, more: &Counts) {
    for (all, more) in all.iter_mut().zip(more) {
        *all += more;
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "tests fail by panicking"
)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn name(n: u16) -> ObjectName {
        ObjectName::new("default", format!("s{n:05}"))
    }

    fn counts(n: usize) -> Counts {
        let mut counts = Counts::default();
        counts[0] = n;
        counts[5] = n / 2;
        counts
    }

    proptest! {
        /// Whatever comes and goes, it counts what a plain sum over all Services counts.
        #[test]
        fn ranks_are_sums(
            first in vec(0..3_usize, 0..700),
            changes in vec((0..900_u16, 0..3_usize), 0..700),
            asked in vec(0..1000_u16, 1..9),
        ) {
            let first = first.into_iter().enumerate();
            let mut plain: BTreeMap<ObjectName, Counts> = first
                .filter(|(_, count)| *count > 0)
                .map(|(n, count)| (name(u16::try_from(n).unwrap_or_default()), counts(count)))
                .collect();
            let mut ranks = Ranks::new(plain.clone());
            for (n, count) in changes {
                ranks.set(&name(n), counts(count));
                plain.insert(name(n), counts(count));
            }
            for n in asked {
                let mut expected = Counts::default();
                for (_, counts) in plain.range(..name(n)) {
                    add(&mut expected, counts);
                }
                prop_assert_eq!(ranks.before(&name(n)), expected);
            }
            plain.retain(|_, counts| counts[0] > 0);
            prop_assert!(ranks.names().eq(plain.keys()));
            prop_assert!(ranks.blocks.iter().all(|block| !block.services.is_empty() && block.services.len() <= BLOCK));
        }
    }
}
