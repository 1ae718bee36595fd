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

    /// Notes a change. They are made in the text once they are longer than it.
    pub(super) fn note(mut self, change: &RestoreInput) -> Option<Self> {
        self.changes.append(change);
        let edits = self
            .changes
            .tables()
            .iter()
            .map(|table| table.edits().len());
        let about = 100;
        if edits.sum::<usize>() * about <= self.text.len() + SPARED {
            return Some(self);
        }
        self.rules().as_ref().map(Self::of)
    }
}

/// How long the changes may be, in bytes, however short the text is.
const SPARED: usize = 100_000;
