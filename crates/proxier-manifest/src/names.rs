//! Names that many objects have, kept once.

use std::sync::Arc;

use rapidhash::RapidHashSet;

/// How long a name that is kept may be: as long as a name in DNS, which those of Nodes are.
const LONGEST: usize = 253;
/// How many are kept. Where there are more, all are forgotten.
const MOST: usize = 16_384;

/// Names of Nodes and ports that were read before. Objects that are read with the same `Names` share them, so that a name is
/// neither copied for each endpoint that has it nor kept for each.
///
/// Of names that somebody chose so that they collide (rapidhash has no proof against that, as SipHash has) no more than so few are
/// kept.
#[derive(Debug, Default)]
pub struct Names(RapidHashSet<Arc<str>>);

impl Names {
    /// The one copy of a name.
    pub(crate) fn one(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        let new = Arc::from(name);
        if name.len() <= LONGEST {
            if self.0.len() >= MOST {
                self.0.clear();
            }
            self.0.insert(Arc::clone(&new));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_copy_and_few_are_kept() {
        let mut names = Names::default();
        let first = names.one("node-a");
        assert!(Arc::ptr_eq(&first, &names.one("node-a")));
        assert_eq!(&*names.one("node-b"), "node-b");
        for n in 0..2 * MOST {
            names.one(&n.to_string());
        }
        assert!(names.0.len() <= MOST);
        assert_eq!(names.one("node-a"), first);
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(&*names.one(&long), long);
        assert!(!names.0.contains(&*long));
    }
}
