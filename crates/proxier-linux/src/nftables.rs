//! The proxy's tables of nf_tables.

use netlink_batch::errno;
use nftables_netlink::expression::Expression;
use nftables_netlink::message::{Item, Operation as Change, Transaction, Verb};
use nftables_netlink::{
    Client, Elements, Error, FilledSet, Name, Ruleset, Table, TableFamily, TableFlags,
};
use proxier::cluster::{Family, PerFamily};
use proxier::nftables::{Element, SetId, Structure, TABLE};
use proxier::{
    KernelError, KernelErrorKind as Kind, KernelPart, ObservedTable, Operation, TableWrite,
};

use crate::error::{failed, of_errno};

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

/// A transaction, and which operation each of its changes is of.
#[derive(Default)]
struct Batch {
    transaction: Transaction,
    of: Vec<usize>,
    pending: Option<Pending>,
}

/// Elements of one set that go into one message.
struct Pending {
    verb: Verb,
    set: SetId,
    family: Family,
    list: Vec<nftables_netlink::Element>,
    /// The operation that the first is of.
    index: usize,
}

impl Batch {
    fn push(&mut self, index: usize, verb: Verb, item: impl Into<Item>) {
        self.flush();
        self.transaction.push(verb, item.into());
        self.of.resize(self.transaction.operations().len(), index);
    }

    fn flush(&mut self) {
        if let Some(pending) = self.pending.take() {
            let set = name(pending.set.as_str());
            let elements = Elements::new(pending.family, table(), set, pending.list);
            self.push(pending.index, pending.verb, elements);
        }
    }

    fn element(&mut self, index: usize, family: Family, verb: Verb, element: &Element) {
        let (set, made) = (element.set(), element.to_netlink());
        match &mut self.pending {
            Some(pending) if (pending.verb, pending.set) == (verb, set) => pending.list.push(made),
            _ => {
                self.flush();
                self.pending = Some(Pending {
                    verb,
                    set,
                    family,
                    list: vec![made],
                    index,
                });
            }
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

    /// Carries out operations on the table of one family: all in one transaction, or, where the kernel refuses that, all
    /// but those at fault.
    pub(crate) fn apply(
        &mut self,
        family: Family,
        operations: &[&Operation],
    ) -> Vec<Result<(), KernelError>> {
        self.read = None;
        let mut results: Vec<Result<(), KernelError>> = operations.iter().map(|_| Ok(())).collect();
        let mut rest: Vec<usize> = (0..operations.len()).collect();
        // Neither can a table be deleted that is not there, nor can `add` with other flags be said to one that is.
        let exists = match self.exists(family, operations) {
            Ok(exists) => exists,
            Err(error) => {
                let error = failed(error);
                return operations.iter().map(|_| Err(error.clone())).collect();
            }
        };
        // The first time elements of one set are in one message; an error of it is not one of a single element.
        let mut joined = true;
        while !rest.is_empty() {
            let batch = self.batch(family, operations, &rest, joined, exists);
            let Err(error) = self.client.apply(&batch.transaction) else {
                break;
            };
            let at_fault = match &error {
                Error::Refused { index, .. } => batch.of.get(*index).copied(),
                _ => None,
            };
            match at_fault {
                Some(_) if joined && rest.len() > 1 => joined = false,
                Some(index) => {
                    let change = change_at(&batch.transaction, &error);
                    if let Some(result) = results.get_mut(index) {
                        *result = Err(refused(error, change));
                    }
                    rest.retain(|other| *other != index);
                }
                None => {
                    let error = failed(error);
                    for index in rest.drain(..) {
                        if let Some(result) = results.get_mut(index) {
                            *result = Err(error.clone());
                        }
                    }
                }
            }
        }
        results
    }

    fn batch(
        &self,
        family: Family,
        operations: &[&Operation],
        indices: &[usize],
        joined: bool,
        exists: bool,
    ) -> Batch {
        let mut batch = Batch::default();
        for index in indices.iter().copied() {
            match operations.get(index) {
                Some(Operation::AddElement { element, .. }) => {
                    batch.element(index, family, Verb::Create, element);
                }
                Some(Operation::DeleteElement { element, .. }) => {
                    batch.element(index, family, Verb::Delete, element);
                }
                Some(Operation::ChangeElement { element, was, .. }) => {
                    batch.element(index, family, Verb::Delete, was);
                    batch.element(index, family, Verb::Create, element);
                }
                Some(Operation::DeleteTable(_)) => {
                    batch.push(index, Verb::Delete, Table::new(family, table()));
                }
                Some(Operation::WriteTable(write)) => self.write(&mut batch, index, write, exists),
                _ => {}
            }
            if !joined {
                batch.flush();
            }
        }
        batch.flush();
        batch
    }

    fn write(&self, batch: &mut Batch, index: usize, write: &TableWrite, exists: bool) {
        let family = write.rules.family;
        let bare = Table::new(family, table());
        if exists {
            batch.push(index, Verb::Delete, bare.clone());
        }
        batch.push(index, Verb::Create, bare.with(self.flags()));
        let structure = write.rules.structure();
        for set in structure.sets {
            batch.push(index, Verb::Create, set);
        }
        for chain in structure.chains {
            batch.push(index, Verb::Create, chain);
        }
        for rule in structure.rules {
            batch.push(index, Verb::Add, rule);
        }
        for element in &write.elements {
            batch.element(index, family, Verb::Create, element);
        }
        batch.flush();
    }

    /// Whether there is a table, where one is to be written.
    fn exists(&mut self, family: Family, operations: &[&Operation]) -> Result<bool, Error> {
        let writes = |operation: &&Operation| matches!(operation, Operation::WriteTable(_));
        if !operations.iter().any(writes) {
            return Ok(false);
        }
        let tables = self.client.tables(family.into())?;
        Ok(tables.iter().any(Structure::is_own))
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
fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_default()
}

fn change_at<'a>(transaction: &'a Transaction, error: &Error) -> Option<&'a Change> {
    match error {
        Error::Refused { index, .. } => transaction.operations().get(*index),
        _ => None,
    }
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
