//! Tables and chains.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::name::{ChainName, Policy, TableName};
use crate::rule::Counters;
use crate::rules::Rules;
use crate::text::to_bytes;

/// All tables of one address family. Displays as what `iptables-save` prints, less its comment lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ruleset {
    /// The tables in the order they were found.
    pub tables: Vec<Table>,
}

impl Ruleset {
    /// A rule set without tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// The table of this name.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == *name)
    }

    /// The table of this name.
    pub fn table_mut(&mut self, name: &TableName) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.name == *name)
    }

    /// The bytes of the text with the counters that `format` asks for: as [`Ruleset::display`], but bytes that are not
    /// UTF-8 are as they were for [`Ruleset::parse_bytes`].
    pub fn to_bytes(&self, format: SaveFormat) -> Vec<u8> {
        to_bytes(&self.display(format).to_string()).into_owned()
    }

    /// The text with the counters that `format` asks for.
    pub fn display(&self, format: SaveFormat) -> impl fmt::Display + '_ {
        SavedRuleset {
            ruleset: self,
            format,
        }
    }
}

/// One table. Displays as `iptables-save -t NAME` prints it, less its comment lines.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// Its chains in the order they were found.
    pub chains: Vec<Chain>,
}

impl Table {
    /// A table without chains.
    pub fn new(name: TableName) -> Self {
        Self {
            name,
            chains: Vec::new(),
        }
    }

    /// The table as the kernel makes it: its built-in chains, empty, with the policy ACCEPT. No chains at all for a
    /// table whose built-in chains are not known here.
    pub fn builtin(name: TableName) -> Self {
        let chains = name
            .builtin_chains()
            .iter()
            .filter_map(|chain| ChainName::new(*chain).ok())
            .map(Chain::builtin);
        Self {
            chains: chains.collect(),
            name,
        }
    }

    /// The chain of this name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }

    /// The chain of this name.
    pub fn chain_mut(&mut self, name: &str) -> Option<&mut Chain> {
        self.chains.iter_mut().find(|chain| chain.name == name)
    }

    /// The text with the counters that `format` asks for.
    pub fn display(&self, format: SaveFormat) -> impl fmt::Display + '_ {
        SavedTable {
            table: self,
            format,
        }
    }
}

/// One chain. Counters take no part in equality.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Chain {
    /// Its name.
    pub name: ChainName,
    /// What a built-in chain does in the end; `None` for a user's chain.
    #[cfg_attr(feature = "serde", serde(default))]
    pub policy: Option<Policy>,
    /// What the policy has counted, where it was asked for.
    #[cfg_attr(feature = "serde", serde(default))]
    pub counters: Option<Counters>,
    /// Its rules in the order in which they are tried.
    pub rules: Rules,
}

impl Chain {
    /// An empty chain of a user.
    pub fn new(name: ChainName) -> Self {
        Self {
            name,
            policy: None,
            counters: None,
            rules: Rules::default(),
        }
    }

    /// An empty built-in chain with the policy ACCEPT.
    pub fn builtin(name: ChainName) -> Self {
        Self {
            policy: Some(Policy::Accept),
            ..Self::new(name)
        }
    }

    fn key(&self) -> impl PartialEq + Hash {
        let Self {
            name,
            policy,
            counters: _,
            rules,
        } = self;
        (name, policy, rules)
    }
}

impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Chain {}

impl Hash for Chain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// Which counters a text shows. Counters that are not known are shown as `[0:0]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaveFormat {
    /// After each chain, as `iptables-save` does always.
    pub chain_counters: bool,
    /// Before each rule, as `iptables-save -c` does.
    pub rule_counters: bool,
}

impl SaveFormat {
    /// As `iptables-save`.
    pub const SAVE: Self = Self {
        chain_counters: true,
        rule_counters: false,
    };
    /// As `iptables-save -c`.
    pub const SAVE_COUNTERS: Self = Self {
        chain_counters: true,
        rule_counters: true,
    };
    /// Without any counter: the form to compare.
    pub const PLAIN: Self = Self {
        chain_counters: false,
        rule_counters: false,
    };
}

impl Default for SaveFormat {
    fn default() -> Self {
        Self::SAVE
    }
}

struct SavedRuleset<'a> {
    ruleset: &'a Ruleset,
    format: SaveFormat,
}

impl fmt::Display for SavedRuleset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ruleset
            .tables
            .iter()
            .try_for_each(|table| table.display(self.format).fmt(f))
    }
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.display(SaveFormat::SAVE).fmt(f)
    }
}

struct SavedTable<'a> {
    table: &'a Table,
    format: SaveFormat,
}

impl fmt::Display for SavedTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "*{}", self.table.name)?;
        for chain in &self.table.chains {
            write!(
                f,
                ":{} {}",
                chain.name,
                chain.policy.as_ref().map_or("-", Policy::as_str)
            )?;
            if self.format.chain_counters {
                write!(f, " {}", chain.counters.unwrap_or_default())?;
            }
            writeln!(f)?;
        }
        for chain in &self.table.chains {
            for rule in &chain.rules {
                if self.format.rule_counters {
                    write!(f, "{} ", rule.counters.unwrap_or_default())?;
                }
                writeln!(f, "{}", rule.display_in(&chain.name))?;
            }
        }
        writeln!(f, "COMMIT")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.display(SaveFormat::SAVE).fmt(f)
    }
}
