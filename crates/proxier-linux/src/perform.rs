//! Operations carried out by the kernel, many at a time.

use std::fs;

use dummy_link::{Outcome, host_address};
use ipnetwork::IpNetwork;
use ipset_netlink::message::Mode;
use ipset_netlink::{Entry, Error as SetError, Operation as SetOperation, SetName};
use iptables_restore::Error as RulesError;
use ipvs_netlink::{Error as IpvsError, Request};

use crate::LinuxKernel;
use crate::error::{failed, routing_failed, sysctl_failed};
use crate::restore::Run;
use crate::rules::Restored;
use proxier::cluster::Family;
use proxier::kernel::no_result;
use proxier::{KernelError, KernelErrorKind, KernelPart, Operation, RulesChange};

type Results = Vec<Result<(), KernelError>>;

/// What goes to the kernel by one way, and so may go at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Ipvs,
    Add(SetName),
    Delete(SetName),
    Bind,
    Unbind,
    Rules,
    Tables,
    Alone,
}

fn way(operation: &Operation) -> Way {
    match operation {
        _ if operation.server().is_some() => Way::Ipvs,
        Operation::AddEntry { set, .. } => Way::Add(*set),
        Operation::DeleteEntry { set, .. } => Way::Delete(*set),
        Operation::BindAddress(_) => Way::Bind,
        Operation::UnbindAddress(_) => Way::Unbind,
        Operation::RestoreRules(_) => Way::Rules,
        other if other.table().is_some() => Way::Tables,
        _ => Way::Alone,
    }
}

/// Whether an operation can go to the kernel along with the one before it.
pub(crate) fn together(before: &Operation, operation: &Operation) -> bool {
    let way = way(operation);
    way != Way::Alone && way == self::way(before)
}

impl LinuxKernel {
    /// Carries out one operation, whether or not it is safe.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if the kernel refuses it; nothing has changed then.
    pub fn perform(&mut self, operation: &Operation) -> Result<(), KernelError> {
        let mut results = self.perform_all(&[operation]).into_iter();
        results.next().unwrap_or_else(|| Err(no_result(operation)))
    }

    /// Carries out operations of one way, in order.
    pub(crate) fn perform_all(&mut self, operations: &[&Operation]) -> Results {
        let Some(first) = operations.first() else {
            return Vec::new();
        };
        match way(first) {
            Way::Ipvs => self.ipvs(operations),
            Way::Add(set) => self.entries(set, operations, |ipset, set, entries| {
                ipset.add(set, entries, Mode::Strict)
            }),
            Way::Delete(set) => self.entries(set, operations, |ipset, set, entries| {
                ipset.delete(set, entries, Mode::Strict)
            }),
            Way::Bind | Way::Unbind => self.addresses(operations),
            Way::Rules => self.rules(operations),
            Way::Tables => self.tables(operations),
            Way::Alone => operations
                .iter()
                .map(|operation| self.alone(operation))
                .collect(),
        }
    }

    fn ipvs(&mut self, operations: &[&Operation]) -> Results {
        let requests: Vec<_> = operations
            .iter()
            .filter_map(|operation| request(operation))
            .collect();
        let Some(ipvs) = &mut self.ipvs else {
            let none = failed(IpvsError::NotLoaded);
            return operations.iter().map(|_| Err(none.clone())).collect();
        };
        let outcome = ipvs.apply(&requests);
        let mut results: Results = operations.iter().map(|_| Ok(())).collect();
        for (index, error) in outcome.failures() {
            if let Some(result) = results.get_mut(index) {
                *result = Err(failed(error));
            }
        }
        results
    }

    /// The members before one that is refused are in; those after it are tried again without it.
    fn entries(
        &mut self,
        set: SetName,
        operations: &[&Operation],
        change: impl Fn(&mut ipset_netlink::Client, SetName, &[Entry]) -> Result<(), SetError>,
    ) -> Results {
        let entries: Vec<Entry> = operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::AddEntry { entry, .. } | Operation::DeleteEntry { entry, .. } => {
                    Some(entry.clone())
                }
                _ => None,
            })
            .collect();
        let mut results: Results = Vec::with_capacity(entries.len());
        while let Some(rest) = entries.get(results.len()..).filter(|rest| !rest.is_empty()) {
            let outcome = match &mut self.ipset {
                Some(ipset) => change(ipset, set, rest),
                None => Err(SetError::NoIpset),
            };
            match outcome {
                Ok(()) => results.extend(rest.iter().map(|_| Ok(()))),
                Err(error) => match refused_at(&error) {
                    Some(place) => {
                        results.extend((0..place).map(|_| Ok(())));
                        results.push(Err(failed(error)));
                    }
                    // None of them, or nobody knows which.
                    None => results.extend(rest.iter().map(|_| Err(failed(error.clone())))),
                },
            }
        }
        results
    }

    fn addresses(&mut self, operations: &[&Operation]) -> Results {
        let bind: Vec<IpNetwork> = operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::BindAddress(address) => Some(host_address(*address)),
                _ => None,
            })
            .collect();
        let outcome = if bind.is_empty() {
            let unbind: Vec<_> = operations
                .iter()
                .filter_map(|operation| match operation {
                    Operation::UnbindAddress(bound) => Some(*bound),
                    _ => None,
                })
                .collect();
            self.links.remove_addresses(self.link, &unbind)
        } else {
            self.links.add_addresses(self.link, &bind)
        };
        match outcome {
            // There already, or gone already, is as good.
            Ok(results) => results
                .into_iter()
                .map(|r| r.map(|_: Outcome| ()).map_err(failed))
                .collect(),
            Err(error) => operations
                .iter()
                .map(|_| Err(failed(error.clone())))
                .collect(),
        }
    }

    /// Each family in one run of its tool.
    fn rules(&mut self, operations: &[&Operation]) -> Results {
        let changes: Vec<&RulesChange> = operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::RestoreRules(change) => Some(&**change),
                _ => None,
            })
            .collect();
        let mut results: Vec<Option<Result<(), KernelError>>> = vec![None; changes.len()];
        for family in Family::ALL {
            let of = |n: &usize| {
                changes
                    .get(*n)
                    .is_some_and(|change| change.family == family)
            };
            let places: Vec<usize> = (0..changes.len()).filter(of).collect();
            let own: Vec<_> = places
                .iter()
                .filter_map(|n| changes.get(*n).copied())
                .collect();
            let done = self.rules_of(family, &own);
            for (place, done) in places.into_iter().zip(done) {
                if let Some(result) = results.get_mut(place) {
                    *result = Some(done);
                }
            }
        }
        results.into_iter().flatten().collect()
    }

    fn rules_of(&mut self, family: Family, changes: &[&RulesChange]) -> Results {
        if changes.is_empty() {
            return Vec::new();
        }
        let Some(rules) = self.rules.get_mut(family) else {
            let none = KernelError::new(
                KernelPart::Rules,
                KernelErrorKind::Unsupported,
                "this machine has no ip6tables: install it, or IPv6 Services are not served here",
            );
            return changes.iter().map(|_| Err(none.clone())).collect();
        };
        let run = Run::of(changes.iter().map(|change| &change.input));
        match rules.restore(&run) {
            Restored::Done(Ok(())) => changes.iter().map(|_| Ok(())).collect(),
            Restored::Done(Err(RulesError::Rejected(rejection))) => run.rejected(&rejection),
            Restored::Done(Err(error)) => {
                let error = failed(error);
                changes.iter().map(|_| Err(error.clone())).collect()
            }
            Restored::Waits(error) => changes.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// The tables of nf_tables, of both families in one transaction: all operations have the result of all.
    fn tables(&mut self, operations: &[&Operation]) -> Results {
        let result = match &mut self.nftables {
            Some(nftables) => nftables.apply(operations),
            None => Err(failed(nftables_netlink::Error::NoNftables)),
        };
        operations.iter().map(|_| result.clone()).collect()
    }

    /// A rule or route that is there already, or is not there to be deleted, is an error: what was observed is not so.
    fn routing(&mut self, operation: &Operation) -> Option<Result<(), KernelError>> {
        let (outcomes, kind) = match operation {
            Operation::AddRoutingRule(rule) => {
                (self.links.add_rules(&[*rule]), KernelErrorKind::Exists)
            }
            Operation::DeleteRoutingRule(rule) => {
                (self.links.remove_rules(&[*rule]), KernelErrorKind::Missing)
            }
            Operation::AddRoute(route) => {
                (self.links.add_routes(&[*route]), KernelErrorKind::Exists)
            }
            Operation::DeleteRoute(route) => (
                self.links.remove_routes(&[*route]),
                KernelErrorKind::Missing,
            ),
            _ => return None,
        };
        Some(match outcomes.into_iter().next() {
            Some(Ok(Outcome::Unchanged)) => Err(KernelError::new(
                KernelPart::Routing,
                kind,
                format!("{}: the kernel has nothing to change", operation.summary()),
            )),
            Some(Err(error)) => Err(routing_failed(error)),
            Some(Ok(Outcome::Changed)) | None => Ok(()),
        })
    }

    fn ipset(&mut self) -> Result<&mut ipset_netlink::Client, KernelError> {
        self.ipset.as_mut().ok_or_else(|| failed(SetError::NoIpset))
    }

    fn alone(&mut self, operation: &Operation) -> Result<(), KernelError> {
        if let Some(result) = self.routing(operation) {
            return result;
        }
        match operation {
            Operation::SetSysctl { sysctl, value, .. } => {
                fs::write(self.sysctls.join(sysctl.path()), value.to_string())
                    .map_err(|error| sysctl_failed(&format!("{sysctl} = {value}"), error))
            }
            Operation::SetTimeouts(timeouts) => match &mut self.ipvs {
                Some(ipvs) => ipvs.set_timeouts(*timeouts).map_err(failed),
                None => Err(failed(IpvsError::NotLoaded)),
            },
            Operation::CreateLink => self.links.ensure(self.link).map(|_| ()).map_err(failed),
            Operation::DeleteLink => self.links.delete(self.link).map(|_| ()).map_err(failed),
            Operation::CreateSet(spec) => self.ipset()?.create(spec, Mode::Strict).map_err(failed),
            Operation::SwapSets { set, with } => self.ipset()?.swap(*with, *set).map_err(failed),
            Operation::DestroySet(set) => self.ipset()?.destroy(*set, Mode::Strict).map_err(failed),
            other => Err(KernelError::new(
                KernelPart::of(other),
                KernelErrorKind::Unsupported,
                "LinuxKernel has no such operation: use the versions of proxier and proxier-linux that belong together",
            )),
        }
    }
}

fn request(operation: &Operation) -> Option<Request> {
    Some(match *operation {
        Operation::AddServer { id, config } => Request::NewService { id, config },
        Operation::SetServer { id, config, .. } => Request::SetService { id, config },
        Operation::DeleteServer(id) => Request::DeleteService { id },
        Operation::AddDestination {
            server: service,
            destination,
        } => Request::NewDestination {
            service,
            destination,
        },
        Operation::SetDestination {
            server: service,
            destination,
            ..
        } => Request::SetDestination {
            service,
            destination,
        },
        Operation::DeleteDestination {
            server: service,
            id,
        } => Request::DeleteDestination { service, id },
        _ => return None,
    })
}

/// The place of the member that the kernel refused, among those given.
fn refused_at(error: &SetError) -> Option<usize> {
    let SetError::Kernel { operation, .. } = error else {
        return None;
    };
    match &**operation {
        SetOperation::Add {
            entry: Some((place, _)),
            ..
        }
        | SetOperation::Delete {
            entry: Some((place, _)),
            ..
        } => Some(*place),
        _ => None,
    }
}
