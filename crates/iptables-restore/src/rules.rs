//! The rules of a chain.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::rule::Rule;

/// The rules of a chain, in the order in which they are tried: a `Vec<Rule>` whose clones share its memory until one of them
/// is changed.
///
/// A large table is compared, kept and changed by many hands. A rule takes half a kilobyte or more, so copies of ten thousands
/// of them are what such a program's memory goes into.
///
/// ```
/// use iptables_restore::{Rule, Rules};
///
/// let mut rules = Rules::from(vec![Rule::new().jump("ACCEPT")]);
/// let before = rules.clone();
/// rules.push(Rule::new().jump("DROP"));
/// assert_eq!((before.len(), rules.len()), (1, 2));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "Vec<Rule>", into = "Vec<Rule>")
)]
pub struct Rules(Arc<Vec<Rule>>);

impl Deref for Rules {
    type Target = Vec<Rule>;

    fn deref(&self) -> &Vec<Rule> {
        &self.0
    }
}

impl DerefMut for Rules {
    /// For a change: the rules are copied first if a clone shares them.
    fn deref_mut(&mut self) -> &mut Vec<Rule> {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Vec<Rule>> for Rules {
    fn from(rules: Vec<Rule>) -> Self {
        Self(Arc::new(rules))
    }
}

impl From<Rules> for Vec<Rule> {
    /// Copies them only if a clone shares them.
    fn from(rules: Rules) -> Self {
        Arc::unwrap_or_clone(rules.0)
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        Vec::from_iter(rules).into()
    }
}

impl IntoIterator for Rules {
    type Item = Rule;
    type IntoIter = std::vec::IntoIter<Rule>;

    fn into_iter(self) -> Self::IntoIter {
        Vec::from(self).into_iter()
    }
}

impl<'a> IntoIterator for &'a Rules {
    type Item = &'a Rule;
    type IntoIter = std::slice::Iter<'a, Rule>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Rules {
    type Item = &'a mut Rule;
    type IntoIter = std::slice::IterMut<'a, Rule>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl PartialEq<Vec<Rule>> for Rules {
    fn eq(&self, other: &Vec<Rule>) -> bool {
        **self == *other
    }
}

impl PartialEq<&[Rule]> for Rules {
    fn eq(&self, other: &&[Rule]) -> bool {
        **self == **other
    }
}

impl<const N: usize> PartialEq<[Rule; N]> for Rules {
    fn eq(&self, other: &[Rule; N]) -> bool {
        **self == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_clone_is_its_own() {
        let drop_all = Rule::new().jump("DROP");
        let first = Rules::from(vec![Rule::new().jump("ACCEPT"), drop_all.clone()]);
        let mut second = first.clone();
        assert!(std::ptr::eq(first.as_slice(), second.as_slice()));
        second.remove(0);
        assert_eq!((first.len(), &second), (2, &Rules::from(vec![drop_all])));
        let third = second.clone();
        assert_eq!(Vec::from(third), Vec::from(second));
    }
}
