//! How many Services want one thing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// One more, or one less.
#[derive(Clone, Copy)]
pub(super) enum Count {
    Up,
    Down,
}

impl Count {
    /// Changes a number by one, for one that counts.
    pub(super) fn number(self, number: &mut usize, counts: bool) {
        match self {
            Self::Up => *number += usize::from(counts),
            Self::Down => *number -= usize::from(counts),
        }
    }

    /// Changes by one how many want a key. Whether it came with that, or went.
    pub(super) fn key<K: Ord + Clone>(self, counts: &mut BTreeMap<K, u32>, key: &K) -> bool {
        match (self, counts.entry(key.clone())) {
            (Self::Up, Entry::Vacant(vacant)) => {
                vacant.insert(1);
                true
            }
            (Self::Up, Entry::Occupied(mut occupied)) => {
                *occupied.get_mut() += 1;
                false
            }
            (Self::Down, Entry::Occupied(mut occupied)) if *occupied.get() > 1 => {
                *occupied.get_mut() -= 1;
                false
            }
            (Self::Down, Entry::Occupied(occupied)) => {
                occupied.remove();
                true
            }
            (Self::Down, Entry::Vacant(_)) => false,
        }
    }
}
