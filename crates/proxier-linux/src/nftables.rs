//! The proxy's tables of nf_tables.

use netlink_batch::errno;
use nftables_netlink::expression::Expression;
use nftables_netlink::message::{Item, Operation as Change, Transaction, Verb};
use nftables_netlink::{
    Client, Elements, Error, FilledSet, Name, Rule, Ruleset, Table, TableFamily, TableFlags,
};
use proxier::cluster::{Family, PerFamily};
use proxier::nftables::{Element, SetId, Structure, TABLE, TableRules};
use proxier::{
    KernelError, KernelErrorKind as Kind, KernelPart, ObservedTable, Operation, TableWrite,
};

use crate::error::{failed, of_errno};

/// The table that is made to see whether the kernel can.
const PROBE: &str = "kube-doctor";

/// How often tables are read again because somebody changed something meanwhile.
const ATTEMPTS: usize = 20;

/// nf_tables of this machine, as far as the proxy's tables go.
pub(crate) struct Nftables {
    client: Client,
    /// Whether a table can be kept from others and yet outlive this process: from Linux 6.9.
    owns: bool,
    /// What was read, and at which generation.
    read: Option<(u32, PerFamily<Option<ObservedTable>>)>,
}

/// A transaction as it is written.
#[derive(Default)]
struct Batch {
    transaction: Transaction,
    pending: Option<Pending>,
}

/// Elements of one set that go into one message.
struct Pending {
    verb: Verb,
    family: Family,
    set: SetId,
    list: Vec<nftables_netlink::Element>,
}

impl Batch {
    fn push(&mut self, verb: Verb, item: impl Into<Item>) {
        self.flush();
        self.transaction.push(verb, item.into());
    }

    fn flush(&mut self) {
        if let Some(pending) = self.pending.take() {
            let Pending {
                verb,
                family,
                set,
                list,
            } = pending;
            let elements = Elements::new(family, table(), name(set.as_str()), list);
            self.push(verb, elements);
        }
    }

    fn element(&mut self, verb: Verb, family: Family, element: &Element) {
        let (set, made) = (element.set(), element.to_netlink());
        match &mut self.pending {
            Some(pending) if (pending.verb, pending.family, pending.set) == (verb, family, set) => {
                pending.list.push(made);
            }
            _ => {
                self.flush();
                self.pending = Some(Pending {
                    verb,
                    family,
                    set,
                    list: vec![made],
                });
            }
        }
    }

    /// Sets, chains, and then their rules.
    fn create(&mut self, structure: Structure) {
        for set in structure.sets {
            self.push(Verb::Create, set);
        }
        for chain in structure.chains {
            self.push(Verb::Create, chain);
        }
        for rule in structure.rules {
            self.push(Verb::Add, rule);
        }
    }

    /// All rules first: they keep the chains and sets that they name.
    fn delete(&mut self, structure: &Structure) {
        for chain in &structure.chains {
            let name = chain.name.clone().unwrap_or_default();
            // Without a handle it stands for all of its chain.
            let all = Rule::new(chain.family, table(), name, Vec::new());
            self.push(Verb::Delete, all);
        }
        for chain in &structure.chains {
            self.push(Verb::Delete, chain.clone());
        }
        for set in &structure.sets {
            self.push(Verb::Delete, set.clone());
        }
    }
}

impl Nftables {
    pub(crate) const fn new(client: Client, owns: bool) -> Self {
        Self {
            client,
            owns,
            read: None,
        }
    }

    pub(crate) fn port(&self) -> u32 {
        self.client.port()
    }

    /// The proxy's tables, all at one generation. None where the kernel has no nf_tables.
    pub(crate) fn tables(&mut self) -> Result<PerFamily<Option<ObservedTable>>, KernelError> {
        match self.read_tables() {
            Err(Error::NoNftables) => Ok(PerFamily::default()),
            result => {
                result.map_err(|error| failed(error).while_doing("reading the tables of nf_tables"))
            }
        }
    }

    fn read_tables(&mut self) -> Result<PerFamily<Option<ObservedTable>>, Error> {
        for _ in 0..ATTEMPTS {
            let generation = self.client.generation()?;
            if let Some((at, tables)) = &self.read {
                if *at == generation {
                    return Ok(tables.clone());
                }
            }
            let tables = PerFamily {
                v4: self.read_table(Family::V4),
                v6: self.read_table(Family::V6),
            };
            // What was read at different times belongs to no state, and neither do errors of it.
            if self.client.generation()? != generation {
                continue;
            }
            let tables = PerFamily {
                v4: tables.v4?,
                v6: tables.v6?,
            };
            self.read = Some((generation, tables.clone()));
            return Ok(tables);
        }
        Err(Error::AlwaysChanging {
            attempts: u32::try_from(ATTEMPTS).unwrap_or(u32::MAX),
        })
    }

    fn read_table(&mut self, family: Family) -> Result<Option<ObservedTable>, Error> {
        let of = TableFamily::from(family);
        let mut tables = self.client.tables(of)?;
        tables.retain(Structure::is_own);
        let Some(found) = tables.first() else {
            return Ok(None);
        };
        self.adopt(found)?;
        let table = table();
        let mut sets = Vec::new();
        for set in self.client.sets(of, Some(&table))? {
            let elements = self.client.elements(of, &table, &set.name)?;
            sets.push(FilledSet { set, elements });
        }
        let ruleset = Ruleset {
            tables,
            sets,
            chains: self.client.chains(of)?,
            rules: self.client.rules(of, Some(&table), None)?,
            ..Ruleset::default()
        };
        Ok(ObservedTable::of(&ruleset, family))
    }

    /// Carries out operations on the tables in one transaction: all of them or none.
    pub(crate) fn apply(&mut self, operations: &[&Operation]) -> Result<(), KernelError> {
        self.read = None;
        // Neither can a table be deleted that is not there, nor one be added with other flags.
        let exist = self.rewritten(operations).map_err(failed)?;
        let transaction = self.transaction(operations, exist);
        self.client.apply(&transaction).map_err(|error| {
            let change = match &error {
                Error::Refused { index, .. } => transaction.operations().get(*index),
                _ => None,
            };
            refused(error, change)
        })
    }

    fn transaction(&self, operations: &[&Operation], exist: PerFamily<bool>) -> Transaction {
        let mut batch = Batch::default();
        for operation in operations {
            match operation {
                Operation::AddElement { family, element } => {
                    batch.element(Verb::Create, *family, element);
                }
                Operation::DeleteElement { family, element } => {
                    batch.element(Verb::Delete, *family, element);
                }
                Operation::ChangeElement {
                    family,
                    element,
                    was,
                } => {
                    batch.element(Verb::Delete, *family, was);
                    batch.element(Verb::Create, *family, element);
                }
                Operation::DeleteTable(family) => {
                    batch.push(Verb::Delete, Table::new(*family, table()));
                }
                Operation::AddTablePart(part) => {
                    batch.create(part.structure.clone());
                }
                Operation::DeleteTablePart(part) => batch.delete(&part.structure),
                Operation::WriteTable(write) => {
                    self.write(&mut batch, write, *exist.get(write.rules.family));
                }
                _ => {}
            }
        }
        batch.flush();
        batch.transaction
    }

    fn write(&self, batch: &mut Batch, write: &TableWrite, exists: bool) {
        let bare = Table::new(write.rules.family, table());
        if exists {
            batch.push(Verb::Delete, bare.clone());
        }
        batch.push(Verb::Create, bare.with(self.flags()));
        batch.create(write.rules.structure());
        for element in &write.elements {
            batch.element(Verb::Create, write.rules.family, element);
        }
    }

    /// Of which families a table is to be written where there is one.
    fn rewritten(&mut self, operations: &[&Operation]) -> Result<PerFamily<bool>, Error> {
        let mut exist = PerFamily::default();
        for operation in operations {
            if let Operation::WriteTable(write) = operation {
                let family = write.rules.family;
                let tables = self.client.tables(family.into())?;
                *exist.get_mut(family) = tables.iter().any(Structure::is_own);
            }
        }
        Ok(exist)
    }

    /// Takes over a table that its owner has left: from now on others can neither change nor flush it.
    fn adopt(&mut self, found: &Table) -> Result<(), Error> {
        if self.owns && found.owner.is_none() && found.flags.contains(TableFlags::PERSIST) {
            let mut transaction = Transaction::new();
            transaction.add(Table::new(found.family, table()).with(self.flags()));
            self.client.apply(&transaction)?;
        }
        Ok(())
    }

    const fn flags(&self) -> TableFlags {
        if self.owns {
            TableFlags::OWNER.union(TableFlags::PERSIST)
        } else {
            TableFlags::empty()
        }
    }
}

fn table() -> Name {
    name(TABLE)
}

/// All names here are constants of `proxier`, which tests that they are names.
pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_default()
}

/// The error of a change that the kernel refused. Chains and rules of which the kernel lacks a part are told with the
/// modules that may have it.
fn refused(error: Error, change: Option<&Change>) -> KernelError {
    let code = match &error {
        Error::Refused { reason, .. } => reason.code,
        _ => return failed(error),
    };
    let lacks = matches!(code, errno::ENOENT | errno::EOPNOTSUPP);
    let remedy = match change.map(|change| &change.item) {
        Some(Item::Rule(rule)) if lacks => {
            let modules = rule.expressions.0.iter().filter_map(module);
            let mut modules: Vec<_> = modules.collect();
            modules.sort_unstable();
            modules.dedup();
            modules.join(", ")
        }
        Some(Item::Chain(chain)) if lacks && chain.hook.is_some() => "nft_chain_nat".to_owned(),
        Some(Item::Set(_)) if lacks => "nf_tables of Linux 5.6 or later".to_owned(),
        _ => String::new(),
    };
    if remedy.is_empty() {
        return failed(error);
    }
    let message = format!(
        "{error}: the kernel lacks what this is made of; it takes the modules {remedy}, built in or to be loaded"
    );
    KernelError::new(KernelPart::Nftables, Kind::Unsupported, message)
        .with_errno(Some(code))
        .caused_by(error)
}

/// The module that has an expression, where `nf_tables` itself has not.
const fn module(expression: &Expression) -> Option<&'static str> {
    Some(match expression {
        Expression::Ct(_) => "nft_ct",
        Expression::Masq(_) => "nft_masq",
        Expression::Nat(_) => "nft_nat",
        Expression::Numgen(_) => "nft_numgen",
        Expression::Reject(_) => "nft_reject_ipv4, nft_reject_ipv6",
        _ => return None,
    })
}

/// What an error of nf_tables is.
pub(crate) fn classify(error: &Error) -> (Kind, Option<i32>) {
    match error {
        Error::Refused { reason, .. } | Error::NotCommitted(reason) => {
            // `ENFILE`: the set has as many elements as it may.
            let kind = if reason.code == ENFILE {
                Kind::Full
            } else {
                of_errno(reason.code)
            };
            (kind, Some(reason.code))
        }
        Error::NoNftables => (Kind::Unsupported, None),
        Error::NotPermitted => (Kind::Permission, Some(errno::EPERM)),
        Error::GenerationChanged { .. } | Error::AlwaysChanging { .. } => (Kind::Busy, None),
        Error::TooLong { .. } => (Kind::Invalid, None),
        Error::Malformed(_) => (Kind::Unreadable, None),
        Error::Netlink(error) => crate::error::of_transport(error),
        _ => (Kind::Other, None),
    }
}

const ENFILE: i32 = 23;

/// Whether the kernel takes all that a table of these rules is made of. One is made under another name and deleted in the same
/// transaction, so that nothing of it is ever seen.
///
/// # Errors
///
/// [`KernelError`] with what the kernel refuses, and the modules that may have it.
pub fn probe(rules: &TableRules) -> Result<(), KernelError> {
    let mut client = Client::open().map_err(failed)?;
    let bare = Table::new(rules.family, name(PROBE));
    let mut transaction = Transaction::new();
    transaction.push(Verb::Create, Item::from(bare.clone()));
    let structure = rules.structure();
    for mut set in structure.sets {
        set.table = name(PROBE);
        transaction.push(Verb::Create, Item::from(set));
    }
    for mut chain in structure.chains {
        chain.table = name(PROBE);
        transaction.push(Verb::Create, Item::from(chain));
    }
    for mut rule in structure.rules {
        rule.table = name(PROBE);
        transaction.push(Verb::Add, Item::from(rule));
    }
    transaction.push(Verb::Delete, Item::from(bare));
    client.apply(&transaction).map(drop).map_err(|error| {
        let change = match &error {
            Error::Refused { index, .. } => transaction.operations().get(*index),
            _ => None,
        };
        refused(error, change)
    })
}
