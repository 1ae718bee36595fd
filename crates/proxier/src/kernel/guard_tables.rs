//! What is unsafe to do with tables of nf_tables, or after an operation on them has failed.

use std::collections::HashMap;
use std::net::IpAddr;

use ipvs_netlink::{Protocol, VirtualServerId};

use crate::cluster::{Family, PerFamily};
use crate::layout::SetId;
use crate::layout::nftables::{AddressPort, AddressRange, Element, NodePort};
use crate::plan::{Operation, Phase};
use crate::settings::Sysctl;

/// The part of [`Guard`](super::Guard) that is about tables, their elements, and what takes their place in other layouts.
///
/// - No element comes before its virtual server, and none of a map before what restricts it or the mark that it needs.
/// - No virtual server goes while an element leads to it, and no mark serves another Service while an element gives it
///   to the packets of the one before.
/// - Loopback addresses are not opened without the table that guards them, and with them open it stays.
/// - What another layout made stays until a table, or the element in its place, is there; and the other way round.
#[derive(Debug, Default)]
pub(super) struct TableGuard {
    /// Tables that could not be written.
    written: PerFamily<Option<usize>>,
    /// Tables that could not be given a part.
    parted: PerFamily<Option<usize>>,
    /// Tables that could not be deleted.
    kept: PerFamily<Option<usize>>,
    /// Elements, by their keys, with which something failed.
    elements: HashMap<(Family, Element), usize>,
    any_element: PerFamily<Option<usize>>,
    /// Addresses that elements failed for.
    addresses: HashMap<IpAddr, usize>,
    /// Marks whose virtual servers are missing, or that packets of another Service still get.
    marks: HashMap<(Family, u32), usize>,
    /// Virtual servers that could not be added, by protocol and port.
    ports: HashMap<(Family, NodePort), usize>,
    /// The same by address.
    servers_at: HashMap<IpAddr, usize>,
    /// What elements still lead to.
    reached: HashMap<AddressPort, usize>,
    reached_ports: HashMap<(Family, NodePort), usize>,
    reached_addresses: HashMap<IpAddr, usize>,
    /// Node ports and node addresses that could not be deleted: a new one of the other meets them.
    stale_ports: PerFamily<Option<usize>>,
    stale_addresses: PerFamily<Option<usize>>,
    reached_marks: HashMap<(Family, u32), usize>,
    /// Ranges of ports, and ports that are served together with them, that could not be deleted.
    reached_ranges: PerFamily<Option<usize>>,
    /// What other layouts need and could not be made.
    others: PerFamily<Option<usize>>,
    /// Loopback addresses that stay open: what guards them has to stay.
    open_loopback: Option<usize>,
}

impl TableGuard {
    /// The position of the failed operation that this one must not follow, if there is one. `servers` are those that
    /// could not be added.
    pub(super) fn blocked(
        &self,
        phase: Phase,
        operation: &Operation,
        servers: &HashMap<VirtualServerId, usize>,
    ) -> Option<usize> {
        match operation {
            Operation::WriteTable(write) => {
                let family = write.rules.family;
                let rests = |element: &Element| self.missing_server(family, element, servers);
                let unguarded = write.rules.loopback.is_empty();
                let open = self.open_loopback_of(family).filter(|_| unguarded);
                open.or_else(|| write.elements.iter().find_map(rests))
            }
            Operation::DeleteTable(family) => {
                let others = *self.others.get(*family);
                others.or_else(|| self.open_loopback_of(*family))
            }
            // Others must not come to loopback addresses before what keeps them out.
            Operation::SetSysctl {
                sysctl: Sysctl::RouteLocalnet,
                value: 1,
                ..
            } => self.written.v4,
            Operation::AddElement { family, element }
            | Operation::ChangeElement {
                family, element, ..
            } => self
                .of_key(*family, element)
                .or_else(|| self.missing_server(*family, element, servers))
                .or_else(|| self.unready(*family, element)),
            Operation::DeleteElement { family, element } => self
                .of_key(*family, element)
                .or_else(|| self.needed(*family, element)),
            Operation::AddServer { id, .. }
            | Operation::SetServer { id, .. }
            | Operation::AddDestination { server: id, .. }
            | Operation::SetDestination { server: id, .. } => match id {
                VirtualServerId::FirewallMark { family, mark } if phase != Phase::Retire => {
                    self.marks.get(&(*family, mark.get())).copied()
                }
                _ => None,
            },
            Operation::DeleteServer(id) => self.leads_to(id),
            Operation::UnbindAddress(address) => {
                let written = *self.written.get(Family::of(address.ip()));
                written.or_else(|| self.addresses.get(&address.ip()).copied())
            }
            Operation::RestoreRules(change) if phase == Phase::Trim => {
                self.not_taken_over(change.family)
            }
            Operation::DestroySet(set) if phase == Phase::Destroy => {
                let (family, _) = SetId::owner(set)?;
                self.not_taken_over(family)
            }
            Operation::DeleteLink => {
                let mut families = Family::ALL.into_iter();
                families.find_map(|family| self.not_taken_over(family))
            }
            Operation::DeleteRoutingRule(rule) => self.may_mark(rule.family),
            Operation::DeleteRoute(route) => self.may_mark(Family::of(route.destination.ip())),
            _ => None,
        }
    }

    /// Notes that an operation was not carried out.
    pub(super) fn failed(&mut self, index: usize, phase: Phase, operation: &Operation) {
        match operation {
            Operation::WriteTable(write) => {
                *self.written.get_mut(write.rules.family) = Some(index);
            }
            Operation::SetSysctl {
                sysctl: Sysctl::RouteLocalnet,
                value: 0,
                ..
            } => self.open_loopback = Some(index),
            Operation::AddTablePart(part) => *self.parted.get_mut(part.family) = Some(index),
            Operation::DeleteTable(family) => *self.kept.get_mut(*family) = Some(index),
            Operation::AddElement { family, element } => self.element(index, *family, element),
            Operation::ChangeElement {
                family,
                element,
                was,
            } => {
                self.element(index, *family, element);
                self.stays(index, *family, was);
            }
            Operation::DeleteElement { family, element } => {
                self.element(index, *family, element);
                self.stays(index, *family, element);
                if let (Phase::Fill, Some(mark)) = (phase, element.mark()) {
                    self.marks.insert((*family, mark), index);
                }
            }
            Operation::AddServer { id, .. } => {
                let family = id.family();
                *self.others.get_mut(family) = Some(index);
                match id {
                    VirtualServerId::FirewallMark { mark, .. } => {
                        self.marks.insert((family, mark.get()), index);
                    }
                    VirtualServerId::Address {
                        protocol,
                        port,
                        address,
                    } => {
                        let (protocol, port) = (*protocol, *port);
                        let port = NodePort { protocol, port };
                        self.ports.insert((family, port), index);
                        self.servers_at.insert(*address, index);
                    }
                }
            }
            Operation::DeleteDestination { server, .. }
            | Operation::SetDestination { server, .. } => {
                // Perhaps that of another Service, which had the mark before.
                if let VirtualServerId::FirewallMark { family, mark } = server {
                    self.marks.insert((*family, mark.get()), index);
                }
            }
            Operation::AddEntry { set, .. } => {
                // A virtual server that is there stays reachable, and its table masquerades until the set does.
                if let Some((family, _)) = SetId::owner(set) {
                    *self.others.get_mut(family) = Some(index);
                }
            }
            Operation::BindAddress(address) => {
                *self.others.get_mut(Family::of(*address)) = Some(index);
            }
            Operation::RestoreRules(change) if phase != Phase::Trim => {
                *self.others.get_mut(change.family) = Some(index);
            }
            Operation::CreateLink => {
                self.others = PerFamily::from_fn(|_| Some(index));
            }
            _ => {}
        }
    }

    const fn open_loopback_of(&self, family: Family) -> Option<usize> {
        match family {
            Family::V4 => self.open_loopback,
            Family::V6 => None,
        }
    }

    fn element(&mut self, index: usize, family: Family, element: &Element) {
        self.elements.insert((family, element.key()), index);
        *self.any_element.get_mut(family) = Some(index);
        if let Element::Service(AddressPort { address, .. }, _)
        | Element::ServiceMark(AddressPort { address, .. }, _)
        | Element::Firewalled(AddressPort { address, .. })
        | Element::PortMark(AddressPort { address, .. }, _)
        | Element::RangeMark(AddressRange { address, .. }, _)
        | Element::RangeFirewalled(address, _)
        | Element::RangeAddress(address) = element
        {
            self.addresses.insert(*address, index);
        }
    }

    /// Notes that an element which should be gone is there.
    fn stays(&mut self, index: usize, family: Family, element: &Element) {
        match element {
            Element::Service(at, _) => drop(self.reached.insert(*at, index)),
            Element::NodePort(port, _) => {
                self.reached_ports.insert((family, *port), index);
                *self.stale_ports.get_mut(family) = Some(index);
            }
            Element::NodeAddress(address) => {
                self.reached_addresses.insert(*address, index);
                *self.stale_addresses.get_mut(family) = Some(index);
            }
            Element::PortMark(..) | Element::RangeMark(..) => {
                *self.reached_ranges.get_mut(family) = Some(index);
            }
            _ => {}
        }
        if let Some(mark) = element.mark() {
            self.reached_marks.insert((family, mark), index);
        }
    }

    /// What failed with an element of the same key, or with its table.
    fn of_key(&self, family: Family, element: &Element) -> Option<usize> {
        let of_key = || self.elements.get(&(family, element.key())).copied();
        let part = || {
            self.parted
                .get(family)
                .filter(|_| element.set().is_optional())
        };
        self.written.get(family).or_else(part).or_else(of_key)
    }

    /// Whether a virtual server that an element leads to could not be added.
    fn missing_server(
        &self,
        family: Family,
        element: &Element,
        servers: &HashMap<VirtualServerId, usize>,
    ) -> Option<usize> {
        match element {
            Element::Service(at, _) => servers.get(&at.server()).copied(),
            Element::NodePort(port, _) => {
                let stale = || *self.stale_addresses.get(family);
                self.ports.get(&(family, *port)).copied().or_else(stale)
            }
            Element::NodeAddress(address) => {
                let stale = || *self.stale_ports.get(family);
                self.servers_at.get(address).copied().or_else(stale)
            }
            _ => {
                let mark = element.mark()?;
                self.marks.get(&(family, mark)).copied()
            }
        }
    }

    /// A mark that no packet of the family may get yet.
    pub(super) fn unready_mark(&self, family: Family) -> Option<usize> {
        let mut marks = self.marks.iter();
        marks.find_map(|((of, _), index)| (*of == family).then_some(*index))
    }

    /// Whether what an element of a verdict map needs beside it is missing.
    fn unready(&self, family: Family, element: &Element) -> Option<usize> {
        let failed = |needed: Element| self.elements.get(&(family, needed.key())).copied();
        match element {
            Element::Service(at, kind) => {
                let mark = || failed(Element::ServiceMark(*at, 0)).filter(|_| kind.needs_mark());
                failed(Element::Firewalled(*at)).or_else(mark)
            }
            Element::NodePort(port, kind) if kind.needs_mark() => {
                failed(Element::NodePortMark(*port, 0))
            }
            Element::PortMark(AddressPort { address, .. }, mark)
            | Element::RangeMark(AddressRange { address, .. }, mark) => {
                let local = || failed(Element::RangeLocal(*mark));
                failed(Element::RangeFirewalled(*address, *mark)).or_else(local)
            }
            _ => None,
        }
    }

    /// Whether an element of a verdict map that could not be deleted needs this one.
    fn needed(&self, family: Family, element: &Element) -> Option<usize> {
        use crate::layout::nftables::Kind::ClusterIp;
        let failed = |user: Element| self.elements.get(&(family, user.key())).copied();
        match element {
            Element::Firewalled(at) | Element::ServiceMark(at, _) => {
                failed(Element::Service(*at, ClusterIp))
            }
            Element::NodePortMark(port, _) => failed(Element::NodePort(*port, ClusterIp)),
            Element::RangeFirewalled(..) | Element::RangeLocal(_) => {
                *self.reached_ranges.get(family)
            }
            _ => None,
        }
    }

    /// Whether elements still lead to a virtual server.
    fn leads_to(&self, id: &VirtualServerId) -> Option<usize> {
        let family = id.family();
        let of_table = self.written.get(family).or(*self.kept.get(family));
        of_table.or_else(|| match *id {
            VirtualServerId::FirewallMark { mark, .. } => {
                self.reached_marks.get(&(family, mark.get())).copied()
            }
            VirtualServerId::Address {
                protocol,
                port,
                address,
            } => {
                let at = AddressPort::of(id).and_then(|at| self.reached.get(&at).copied());
                at.or_else(|| self.reached_port(family, protocol, port))
                    .or_else(|| self.reached_addresses.get(&address).copied())
            }
        })
    }

    fn reached_port(&self, family: Family, protocol: Protocol, port: u16) -> Option<usize> {
        let port = NodePort { protocol, port };
        self.reached_ports.get(&(family, port)).copied()
    }

    /// Whether the table does not do yet what another layout has done so far.
    fn not_taken_over(&self, family: Family) -> Option<usize> {
        self.written.get(family).or(*self.any_element.get(family))
    }

    /// Whether a table that is there still may mark packets.
    fn may_mark(&self, family: Family) -> Option<usize> {
        self.kept.get(family).or(*self.written.get(family))
    }
}
