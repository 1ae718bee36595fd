//! Routing rules by mark, and local routes.

use netlink_batch::{
    AsyncTransport, Header, errno,
    uapi::{NLM_F_CREATE, NLM_F_EXCL},
};
use netlink_packet_route::route::RouteMessage;
use netlink_wire::Family;

use super::{AsyncClient, Client, Outcome, Outcomes};
use crate::message;
use crate::uapi::{
    RTM_DELROUTE, RTM_DELRULE, RTM_GETROUTE, RTM_GETRULE, RTM_NEWROUTE, RTM_NEWRULE,
};
use crate::{Error, LocalRoute, MarkRule, Route, RoutingProtocol, Rule, Table};

netlink_batch::methods! { Client, AsyncClient;
    /// Adds rules by mark, many at a time; the result of each is at its place.
    ///
    /// [`Outcome::Unchanged`]: the rule is there. The same rule of another protocol does not count: the
    /// kernel keeps both.
    ///
    /// # Errors
    /// Of a rule [`Error::RoutingNotPermitted`], [`Error::RoutingUnsupported`], [`Error::Rule`].
    pub async fn add_rules(&mut self, rules: &[MarkRule]) -> Outcomes {
        let header = Header::new(RTM_NEWRULE).with(NLM_F_CREATE | NLM_F_EXCL);
        self.change(
            rules,
            |batch, rule| {
                batch.push(header, &message::mark_rule(rule));
            },
            |rule, reason| match reason.code() {
                Some(errno::EEXIST) => Ok(Outcome::Unchanged),
                _ => Err(rule_error("add", rule, reason)),
            },
        )
        .await
    }

    /// Removes rules by mark, many at a time; the result of each is at its place.
    ///
    /// A rule of another protocol stays, unless the protocol is
    /// [`UNSPEC`](crate::RoutingProtocol::UNSPEC). [`Outcome::Unchanged`] if the kernel does not have the rule.
    ///
    /// # Errors
    /// As [`add_rules`](Self::add_rules).
    pub async fn remove_rules(&mut self, rules: &[MarkRule]) -> Outcomes {
        self.change(
            rules,
            |batch, rule| {
                batch.push(Header::new(RTM_DELRULE), &message::mark_rule(rule));
            },
            |rule, reason| match reason.code() {
                Some(errno::ENOENT) => Ok(Outcome::Unchanged),
                _ => Err(rule_error("remove", rule, reason)),
            },
        )
        .await
    }

    /// All rules of both families, of whatever kind; those of a family are in the order in which they
    /// are tried.
    ///
    /// # Errors
    /// [`Error::RoutingList`], [`Error::Malformed`].
    pub async fn rules(&mut self) -> Result<Vec<Rule>, Error> {
        let header = Header::dump(RTM_GETRULE);
        let dump = self
            .connection
            .dump_all(header, &message::all_rules(), |reply| {
                message::parse_rule(reply.payload).map_err(|reason| Error::Malformed {
                    what: "rule",
                    reason,
                })
            })
            .await;
        match dump {
            // A kernel without policy routing.
            Err(Error::Netlink(error)) if is_unsupported(error.code()) => Ok(Vec::new()),
            Err(error) => Err(list_error("rules", error)),
            Ok(rules) => Ok(rules),
        }
    }

    /// Adds local routes, many at a time; the result of each is at its place.
    ///
    /// [`Outcome::Unchanged`]: the table has a local route to these addresses on this link. It may have
    /// another protocol, which [`routes`](Self::routes) shows.
    ///
    /// # Errors
    /// Of a route [`Error::RouteTaken`] if the table has another route to these addresses,
    /// [`Error::LinkDown`] (IPv6), [`Error::RoutingNotPermitted`], [`Error::RoutingUnsupported`],
    /// [`Error::Route`].
    pub async fn add_routes(&mut self, routes: &[LocalRoute]) -> Outcomes {
        let header = Header::new(RTM_NEWROUTE).with(NLM_F_CREATE | NLM_F_EXCL);
        let mut outcomes = self
            .change(
                routes,
                |batch, route| {
                    batch.push(header, &message::local_route(route));
                },
                |route, reason| Err(route_error("add", route, reason)),
            )
            .await;
        // What is in the way takes a listing, once for each table.
        let mut tables: Vec<(Table, Result<Vec<Route>, Error>)> = Vec::new();
        for (route, outcome) in routes.iter().zip(&mut outcomes) {
            if !matches!(outcome, Err(Error::RouteTaken { .. })) {
                continue;
            }
            if tables.last().is_none_or(|(table, _)| *table != route.table) {
                tables.push((route.table, self.routes(route.table).await));
            }
            let Some((_, Ok(found))) = tables.last() else {
                continue;
            };
            let is_same = |found: &Route| {
                let found = found.local();
                found.is_some_and(|found| {
                    (found.destination, found.link) == (route.destination, route.link)
                })
            };
            if found.iter().any(is_same) {
                *outcome = Ok(Outcome::Unchanged);
            }
        }
        outcomes
    }

    /// Removes local routes, many at a time; the result of each is at its place.
    ///
    /// A route of another link or protocol stays, unless the protocol is
    /// [`UNSPEC`](crate::RoutingProtocol::UNSPEC); an IPv4 route of another kind, too. The kernel does
    /// not compare the kind of IPv6 routes. [`Outcome::Unchanged`] if the kernel does not have the route.
    ///
    /// # Errors
    /// Of a route [`Error::RoutingNotPermitted`], [`Error::RoutingUnsupported`], [`Error::Route`].
    pub async fn remove_routes(&mut self, routes: &[LocalRoute]) -> Outcomes {
        self.change(
            routes,
            |batch, route| {
                batch.push(Header::new(RTM_DELROUTE), &message::local_route(route));
            },
            |route, reason| match reason.code() {
                Some(errno::ESRCH) => Ok(Outcome::Unchanged),
                _ => Err(route_error("remove", route, reason)),
            },
        )
        .await
    }

    /// The routes of a table, of both families and of whatever kind, as the kernel orders them. Empty
    /// if the table does not exist.
    ///
    /// # Errors
    /// [`Error::RoutingList`], [`Error::Malformed`].
    pub async fn routes(&mut self, table: Table) -> Result<Vec<Route>, Error> {
        self.list_routes(
            |family| message::routes_of(family, table),
            |route| route.table == table,
        )
        .await
    }

    /// The routes of a protocol, of both families, in whatever table. The kernel picks them, from Linux 4.20;
    /// before, it lists all routes that there are.
    ///
    /// # Errors
    /// As [`routes`](Self::routes).
    pub async fn routes_by(&mut self, protocol: RoutingProtocol) -> Result<Vec<Route>, Error> {
        self.list_routes(
            |family| message::routes_by(family, protocol),
            |route| route.protocol == protocol,
        )
        .await
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    async fn list_routes(
        &mut self,
        request: impl Fn(Family) -> RouteMessage,
        wanted: impl Fn(&Route) -> bool,
    ) -> Result<Vec<Route>, Error> {
        let mut routes = Vec::new();
        for family in Family::ALL {
            let header = Header::dump(RTM_GETROUTE);
            let request = request(family);
            let dump = self
                .connection
                .dump_all(header, &request, |reply| {
                    let route =
                        message::parse_route(reply.payload).map_err(|reason| Error::Malformed {
                            what: "route",
                            reason,
                        })?;
                    // Without strict checking the kernel lists all routes; without IPv6, IPv4 again.
                    Ok(route.filter(|route| {
                        wanted(route) && Family::of(route.destination.ip()) == family
                    }))
                })
                .await;
            match dump {
                Ok(found) => routes.extend::<Vec<_>>(found),
                Err(Error::Netlink(error))
                    if error.code() == Some(errno::ENOENT) || is_unsupported(error.code()) => {}
                Err(error) => return Err(list_error("routes", error)),
            }
        }
        Ok(routes)
    }
}

fn is_unsupported(code: Option<i32>) -> bool {
    matches!(code, Some(errno::EAFNOSUPPORT | errno::EOPNOTSUPP))
}

fn list_error(what: &'static str, error: Error) -> Error {
    match error {
        Error::Netlink(reason) => Error::RoutingList { what, reason },
        error => error,
    }
}

fn rule_error(action: &'static str, rule: &MarkRule, reason: netlink_batch::Error) -> Error {
    match reason.code() {
        Some(errno::EPERM) => Error::RoutingNotPermitted,
        code if is_unsupported(code) => Error::RoutingUnsupported {
            family: rule.family,
        },
        _ => Error::Rule {
            action,
            rule: *rule,
            reason,
        },
    }
}

fn route_error(action: &'static str, route: &LocalRoute, reason: netlink_batch::Error) -> Error {
    let route = *route;
    match reason.code() {
        Some(errno::EPERM) => Error::RoutingNotPermitted,
        Some(errno::EEXIST) => Error::RouteTaken { route },
        Some(errno::ENETDOWN) => Error::LinkDown { route },
        code if is_unsupported(code) => Error::RoutingUnsupported {
            family: Family::of(route.destination.ip()),
        },
        _ => Error::Route {
            action,
            route,
            reason,
        },
    }
}
