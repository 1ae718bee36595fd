//! One edit.

use std::fmt;

use crate::name::{ChainName, InvalidChainName, Policy};
use crate::rule::{InvalidRule, Rule, RuleLine};
use crate::text::Shown;

/// One line of restore input. Displays as that line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Edit {
    /// `:CHAIN - [0:0]`: makes a user's chain or empties the one there is.
    DeclareChain {
        /// The chain.
        chain: ChainName,
    },
    /// `:CHAIN POLICY [0:0]`: sets a built-in chain's policy.
    SetPolicy {
        /// The chain.
        chain: ChainName,
        /// Its new policy.
        policy: Policy,
    },
    /// `-F CHAIN`: removes all rules of a chain.
    Flush {
        /// The chain.
        chain: ChainName,
    },
    /// `-A CHAIN …`: adds a rule at the end.
    Append {
        /// The chain.
        chain: ChainName,
        /// The rule.
        rule: Rule,
    },
    /// `-I CHAIN POSITION …`: adds a rule.
    Insert {
        /// The chain.
        chain: ChainName,
        /// The rule's place afterwards, from 1.
        position: usize,
        /// The rule.
        rule: Rule,
    },
    /// `-D CHAIN …`: removes the first rule equal to this.
    Delete {
        /// The chain.
        chain: ChainName,
        /// The rule.
        rule: Rule,
    },
    /// `-X CHAIN`: removes a user's chain.
    DeleteChain {
        /// The chain.
        chain: ChainName,
    },
}

impl Edit {
    /// The chain that is changed.
    pub fn chain(&self) -> &ChainName {
        match self {
            Self::DeclareChain { chain }
            | Self::SetPolicy { chain, .. }
            | Self::Flush { chain }
            | Self::Append { chain, .. }
            | Self::Insert { chain, .. }
            | Self::Delete { chain, .. }
            | Self::DeleteChain { chain } => chain,
        }
    }

    /// The rule that is added or removed.
    pub fn rule(&self) -> Option<&Rule> {
        match self {
            Self::Append { rule, .. } | Self::Insert { rule, .. } | Self::Delete { rule, .. } => {
                Some(rule)
            }
            _ => None,
        }
    }

    pub(super) fn validate(&self) -> Result<(), InvalidEdit> {
        if !self.chain().is_writable() {
            ChainName::new(self.chain().as_str())?;
        }
        if matches!(self, Self::Insert { position: 0, .. }) {
            return Err(InvalidEdit::PositionZero {
                chain: self.chain().clone(),
            });
        }
        if let Self::SetPolicy { policy, .. } = self {
            let policy = policy.as_str();
            if policy.is_empty() || !policy.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(InvalidEdit::Policy {
                    policy: policy.to_owned(),
                });
            }
        }
        // iptables-restore -t TABLE, the operation, the chain; then perhaps a position, --set-counters and its values.
        let before = match self {
            Self::Append { rule, .. } => 5 + if rule.counters.is_some() { 3 } else { 0 },
            Self::Insert { rule, .. } => 6 + if rule.counters.is_some() { 3 } else { 0 },
            _ => 5,
        };
        self.rule().map_or(Ok(()), |rule| {
            rule.validate_after(before)
                .map_err(|reason| InvalidEdit::Rule {
                    line: self.to_string(),
                    reason,
                })
        })
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Append { rule, .. } | Self::Insert { rule, .. } = self {
            if let Some(counters) = rule.counters {
                // Taken with --counters, passed over without.
                write!(f, "{counters} ")?;
            }
        }
        let line = |operation, rule| RuleLine {
            operation,
            chain: self.chain().as_str(),
            rule,
        };
        match self {
            Self::DeclareChain { chain } => write!(f, ":{chain} - [0:0]"),
            Self::SetPolicy { chain, policy } => write!(f, ":{chain} {policy} [0:0]"),
            Self::Flush { chain } => write!(f, "-F {chain}"),
            Self::Append { rule, .. } => line("-A", rule).fmt(f),
            Self::Insert {
                chain,
                position,
                rule,
            } => RuleLine {
                operation: "-I",
                chain: &format!("{chain} {position}"),
                rule,
            }
            .fmt(f),
            Self::Delete { rule, .. } => line("-D", rule).fmt(f),
            Self::DeleteChain { chain } => write!(f, "-X {chain}"),
        }
    }
}

/// An edit that iptables-restore would refuse whatever the kernel holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEdit {
    /// The chain cannot have this name.
    #[error(transparent)]
    ChainName(#[from] InvalidChainName),
    /// The rule does not pass [`Rule::validate`].
    #[error("{}: {reason}", Shown(line))]
    Rule {
        /// The line it would make.
        line: String,
        /// What is wrong.
        reason: InvalidRule,
    },
    /// The table cannot have this name.
    #[error("`{}` is not a table name: wanted one word", Shown(name))]
    TableName {
        /// The name.
        name: String,
    },
    /// A chain cannot have this policy.
    #[error("`{}` is not a policy: wanted ACCEPT or DROP", Shown(policy))]
    Policy {
        /// The policy.
        policy: String,
    },
    /// Positions are counted from 1.
    #[error("a rule for {chain} is to be inserted at position 0: positions are counted from 1")]
    PositionZero {
        /// The chain.
        chain: ChainName,
    },
}
