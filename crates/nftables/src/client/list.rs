//! Listings.

use std::collections::HashSet;
use std::time::Duration;

use netlink_batch::{AsyncTransport, Header, errno};

use super::{AsyncClient, Client, GetError};
use crate::message::{Get, Item, Reply, parse};
use crate::{
    Chain, Element, Error, FilledSet, Flowtable, Name, Object, Rule, Ruleset, Set, Table,
    TableFamily,
};

macro_rules! listing {
    ($client:ident, $get:expr, $variant:ident) => {
        $client
            .items(&$get, |item| match item {
                Item::$variant(item) => Some(item),
                _ => None,
            })
            .await
    };
}

netlink_batch::methods! { Client, AsyncClient;
    /// The tables of a family.
    ///
    /// As every listing it begins again when the rule set changes meanwhile, a bounded number of times
    /// ([`netlink_batch::Limits::attempts`]).
    ///
    /// # Errors
    /// [`Error::NoNftables`], [`Error::NotPermitted`], [`Error::AlwaysChanging`],
    /// [`Error::Malformed`], [`Error::Netlink`], with `ENOENT` where the table, chain or set that was asked
    /// for does not exist.
    pub async fn tables(&mut self, family: TableFamily) -> Result<Vec<Table>, Error> {
        listing!(self, Get::Tables(family), Table)
    }

    /// The chains of all tables of a family.
    ///
    /// # Errors
    /// As [`tables`](Self::tables).
    pub async fn chains(&mut self, family: TableFamily) -> Result<Vec<Chain>, Error> {
        listing!(self, Get::Chains(family), Chain)
    }

    /// The rules of a family, of one table, or of one chain of it, in order within each chain.
    ///
    /// # Errors
    /// As [`tables`](Self::tables).
    pub async fn rules(
        &mut self,
        family: TableFamily,
        table: Option<&Name>,
        chain: Option<&Name>,
    ) -> Result<Vec<Rule>, Error> {
        let (table, chain) = (table.cloned(), chain.cloned());
        let get = Get::Rules {
            family,
            table,
            chain,
        };
        listing!(self, get, Rule)
    }

    /// The sets and maps of a family or of one table, without their elements.
    ///
    /// # Errors
    /// As [`tables`](Self::tables).
    pub async fn sets(
        &mut self,
        family: TableFamily,
        table: Option<&Name>,
    ) -> Result<Vec<Set>, Error> {
        let table = table.cloned();
        listing!(self, Get::Sets { family, table }, Set)
    }

    /// The elements of a set or map, in the kernel's order, which means nothing.
    ///
    /// The kernel rearranges a large set for a while after many elements were added, and in the meantime
    /// lists some elements twice in place of others, which it does not report. Such a listing begins again
    /// too.
    ///
    /// # Errors
    /// As [`tables`](Self::tables).
    pub async fn elements(
        &mut self,
        family: TableFamily,
        table: &Name,
        set: &Name,
    ) -> Result<Vec<Element>, Error> {
        let (table, set) = (table.clone(), set.clone());
        let get = Get::Elements { family, table, set };
        let attempts = self.connection.limits().attempts.max(1);
        for attempt in 0..attempts {
            let lists = listing!(self, get, Elements)?;
            let elements: Vec<_> = lists.into_iter().flat_map(|part| part.list.0).collect();
            if !any_twice(&elements) {
                return Ok(elements);
            }
            let pause = Duration::from_millis(u64::from(attempt));
            self.connection.sleep(pause).await;
        }
        Err(Error::AlwaysChanging { attempts })
    }

    /// The objects of a family or of one table.
    ///
    /// # Errors
    /// As [`tables`](Self::tables).
    pub async fn objects(
        &mut self,
        family: TableFamily,
        table: Option<&Name>,
    ) -> Result<Vec<Object>, Error> {
        let table = table.cloned();
        listing!(self, Get::Objects { family, table }, Object)
    }

    /// The flowtables of a family.
    ///
    /// # Errors
    /// As [`tables`](Self::tables).
    pub async fn flowtables(&mut self, family: TableFamily) -> Result<Vec<Flowtable>, Error> {
        listing!(self, Get::Flowtables(family), Flowtable)
    }

    /// The whole rule set of a family, or of all with [`TableFamily::ANY`], as it was at one generation.
    ///
    /// # Errors
    /// As [`tables`](Self::tables).
    pub async fn ruleset(&mut self, family: TableFamily) -> Result<Ruleset, Error> {
        let attempts = self.connection.limits().attempts.max(1);
        for _ in 0..attempts {
            let generation = self.generation().await?;
            let ruleset = self.read_ruleset(family, generation).await;
            // What was read at different times is an error of nobody's.
            if self.generation().await? == generation {
                return ruleset;
            }
        }
        Err(Error::AlwaysChanging { attempts })
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    async fn read_ruleset(
        &mut self,
        family: TableFamily,
        generation: u32,
    ) -> Result<Ruleset, Error> {
        let mut sets = Vec::new();
        let tables = self.tables(family).await?;
        for set in self.sets(family, None).await? {
            let elements = self.elements(set.family, &set.table, &set.name).await?;
            sets.push(FilledSet { set, elements });
        }
        Ok(Ruleset {
            generation,
            tables,
            sets,
            chains: self.chains(family).await?,
            rules: self.rules(family, None, None).await?,
            objects: self.objects(family, None).await?,
            flowtables: self.flowtables_if_any(family).await?,
        })
    }

    /// Kernels before 4.16 have no flowtables.
    async fn flowtables_if_any(&mut self, family: TableFamily) -> Result<Vec<Flowtable>, Error> {
        match self.flowtables(family).await {
            Err(Error::NoNftables) => Ok(Vec::new()),
            result => result,
        }
    }

    /// Asks, and keeps what `keep` makes of each answer. Begins again when the kernel reports a change.
    async fn items<R>(
        &mut self,
        get: &Get,
        keep: impl Fn(Item) -> Option<R>,
    ) -> Result<Vec<R>, Error> {
        let attempts = self.connection.limits().attempts.max(1);
        for _ in 0..attempts {
            let header = Header::dump(get.message_type());
            let all = self
                .connection
                .dump_all(header, get, |message| {
                    let reply = parse(message.message_type, message.payload);
                    Ok::<_, GetError>(match reply.map_err(Error::Malformed)? {
                        Reply::New(item) => keep(item),
                        _ => None,
                    })
                })
                .await;
            match all {
                // Some dumps end with this error where others set a flag.
                Err(GetError(Error::Netlink(error))) if error.code() == Some(errno::EINTR) => {}
                Err(GetError(Error::Netlink(netlink_batch::Error::DumpInterrupted {
                    attempts,
                }))) => return Err(Error::AlwaysChanging { attempts }),
                Err(GetError(error)) => return Err(error),
                Ok(all) => return Ok(all),
            }
        }
        Err(Error::AlwaysChanging { attempts })
    }
}

/// Whether an element is there twice.
fn any_twice(elements: &[Element]) -> bool {
    let mut seen = HashSet::with_capacity(elements.len());
    !elements
        .iter()
        .all(|element| seen.insert((&element.key, &element.key_end, element.flags)))
}
