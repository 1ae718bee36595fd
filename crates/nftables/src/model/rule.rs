//! Rules.

use crate::model::expression::Expressions;
use crate::model::{Name, TableFamily};
use crate::wire::attributes;

attributes! {
    /// What rules of iptables need besides.
    RuleCompat: "NFTA_RULE_COMPAT" {
        /// The protocol of the transport layer.
        required protocol: u32 = NFTA_RULE_COMPAT_PROTO,
        /// 2: all but this protocol.
        required flags: u32 = NFTA_RULE_COMPAT_FLAGS,
    }
}

attributes! {
    /// A rule of a chain.
    Rule: "the rule", #[doc = "The family of its table."] family: TableFamily {
        /// The name of its table.
        required table: Name = NFTA_RULE_TABLE,
        /// The name of its chain.
        optional chain: Name = NFTA_RULE_CHAIN,
        /// The number that the kernel gave it.
        optional handle: u64 = NFTA_RULE_HANDLE,
        /// In a listing, the handle of the rule before it; in a request, that of the rule behind which or
        /// before which it comes.
        optional position: u64 = NFTA_RULE_POSITION,
        /// What it does.
        default expressions: Expressions = NFTA_RULE_EXPRESSIONS,
        /// What rules of iptables need besides.
        optional compat: RuleCompat = NFTA_RULE_COMPAT,
        /// What programs keep with it, a comment: see [`userdata`](crate::userdata).
        default userdata: Vec<u8> = NFTA_RULE_USERDATA,
        /// A number that names it within a transaction.
        optional id: u32 = NFTA_RULE_ID,
        /// Where it comes, by the number of a rule in this transaction.
        optional position_id: u32 = NFTA_RULE_POSITION_ID,
        /// Its chain by its number in this transaction.
        optional chain_id: u32 = NFTA_RULE_CHAIN_ID,
    }
}

impl Rule {
    /// A rule of this chain.
    #[must_use]
    pub fn new(
        family: impl Into<TableFamily>,
        table: Name,
        chain: Name,
        expressions: impl Into<Expressions>,
    ) -> Self {
        Self {
            family: family.into(),
            table,
            chain: Some(chain),
            expressions: expressions.into(),
            ..Self::default()
        }
    }

    /// Adds a comment, of at most 128 bytes.
    #[must_use]
    pub fn comment(mut self, comment: &str) -> Self {
        self.userdata = crate::userdata::comment(crate::userdata::RULE_COMMENT, comment);
        self
    }
}
