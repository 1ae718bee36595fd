//! What the kernel holds of rules, as far as it is known.

use iptables_restore::{RestoreInput, Ruleset, SaveFormat};

/// Rules as last read, and what was changed since. As text, since they are many and seldom needed.
#[derive(Debug)]
pub(super) struct Known {
    text: Vec<u8>,
    changes: RestoreInput,
}

impl Known {
    pub(super) fn of(rules: &Ruleset) -> Self {
        Self {
            text: rules.to_bytes(SaveFormat::PLAIN),
            changes: RestoreInput::new(),
        }
    }

    /// The rules, as far as they can be told.
    pub(super) fn rules(&self) -> Option<Ruleset> {
        let mut rules = Ruleset::parse_bytes(&self.text).ok()?;
        self.changes.apply(&mut rules).ok()?;
        Some(rules)
    }

    /// About how many rules they are.
    pub(super) fn about_lines(&self) -> usize {
        self.text.len() / LINE
    }

    /// Notes changes. They are made in the text once they are longer than it.
    pub(super) fn note(mut self, changes: &[&RestoreInput]) -> Option<Self> {
        let noted = changes.iter().copied().chain([&self.changes]);
        let tables = noted.flat_map(RestoreInput::tables);
        let edits: usize = tables.map(|table| table.edits().len()).sum();
        if edits * LINE <= self.text.len() + SPARED {
            changes
                .iter()
                .for_each(|change| self.changes.append(change));
            return Some(self);
        }
        let mut rules = self.rules()?;
        for change in changes {
            change.apply(&mut rules).ok()?;
        }
        Some(Self::of(&rules))
    }
}

/// About how many bytes a line has.
const LINE: usize = 100;

/// How long the changes may be, in bytes, however short the text is.
const SPARED: usize = 100_000;
