//! What is wrong, in sentences: what it is, what follows from it, and what to do.

use std::fmt;

use ipvs_netlink::VirtualServerId;

use super::answer::Finding;
use super::cause::{Cause, NoEndpoint, NotProxied};
use super::loopback;
use super::question::At;
use super::words::{List, family, ids, ranges};
use crate::cluster::{Family, LINK, annotation};
use crate::conflict::Holder;
use crate::layout::nftables::TABLE;

/// What mends state that the proxy programs.
const NEXT_SYNC: &str = "kube-proxier programs it at its next sync; if it stays so, see the log of kube-proxier on this \
                         node, or run `kube-proxier doctor`";

/// The whole sentence: what is wrong, what follows, what to do.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = Label(self);
        let at = self.at.map(At);
        let at = Maybe(at.as_ref());
        match &self.cause {
            Cause::ApiAway(reason) => write!(
                f,
                "the API server does not answer ({reason}): what this node programs is what kube-proxier last knew of \
                 Services and endpoints; make the API server reachable from this node"
            ),
            Cause::NoSuchService { nearest, .. } => {
                write!(f, "{service} is not a Service of the cluster")?;
                suggest(f, nearest)
            }
            Cause::NoSuchPort { port, ports } => {
                let ports = ports.iter().map(|(name, number)| match &**name {
                    "" => number.to_string(),
                    name => format!("{name} ({number})"),
                });
                write!(f, "{service} has no port {port}; it has {}", List(ports))
            }
            Cause::NotProxied(reason) => {
                write!(f, "{service} is not proxied: {}", not_proxied(*reason))
            }
            Cause::Nobody {
                nearest, server, ..
            } => {
                write!(f, "no Service has {at}")?;
                if *server {
                    f.write_str(
                        ", though IPVS has a virtual server there, which is not this proxy's",
                    )?;
                }
                let nearest = nearest.iter();
                let nearest =
                    nearest.map(|one| format!("{} ({})", At(one.at.server()), one.service));
                suggest(f, &nearest.collect::<Vec<_>>())
            }
            Cause::LoopbackNodePort { at, service, why } => {
                let at = At(at.server());
                write!(
                    f,
                    "{at} is the node port of {service}, and node ports are not served there: "
                )?;
                f.write_str(loopback::sentence(*why))
            }
            Cause::Conflict(conflict) => {
                let remedy = match conflict.holder {
                    Holder::ClusterIp(_) | Holder::Service(_) => {
                        "; give one of the two another address or port"
                    }
                    Holder::OtherMarks
                    | Holder::AllMarks
                    | Holder::Forwarding(_)
                    | Holder::Affinity(_) => "",
                    _ => "; give the Service another address",
                };
                write!(f, "{conflict}{remedy}")
            }
            Cause::WrongPortName {
                name,
                protocol,
                slice,
                found,
            } => {
                let found = found
                    .iter()
                    .map(|one| format!("{:?} ({}/{})", one.name, one.port, one.protocol));
                write!(
                    f,
                    "{service} has no endpoint: no EndpointSlice has a port {name:?} for {protocol}, {slice} has {}; give \
                     the port of the Service and of the EndpointSlice one name and protocol",
                    List(found)
                )
            }
            Cause::NoEndpoint(reason) => no_endpoint(f, &service, *reason),
            Cause::NoLocalEndpoint {
                external: true,
                everybody,
                elsewhere,
            } => {
                let whose = if *everybody {
                    ""
                } else {
                    "what comes from outside to "
                };
                write!(
                    f,
                    "{service} has no endpoint on this node and externalTrafficPolicy Local ({elsewhere} on other nodes): \
                     {whose}{at} is not served here; send it to nodes with endpoints, as load balancers do by health checks, \
                     or set the policy to Cluster"
                )
            }
            Cause::NoLocalEndpoint {
                external: false,
                elsewhere,
                ..
            } => write!(
                f,
                "{service} has no endpoint on this node and internalTrafficPolicy Local ({elsewhere} on other nodes): {at} \
                 is not served here; run an endpoint on each node, or set the policy to Cluster"
            ),
            Cause::SourceRanges {
                client: Some(client),
                ranges: all,
            } if !all.is_empty() => write!(
                f,
                "{service} drops what {client} sends to {at}: loadBalancerSourceRanges are {}; add the client's network to \
                 them",
                ranges(all)
            ),
            Cause::SourceRanges { .. } => write!(
                f,
                "{service} admits no client to {at}: none of its loadBalancerSourceRanges can be used; mend them"
            ),
            Cause::NoServer(server) => write!(
                f,
                "{service} has no virtual server {} in the kernel: IPVS does not take what is sent there; {NEXT_SYNC}",
                At(*server)
            ),
            Cause::NoDestination { server, wanted } => write!(
                f,
                "{service} has no destination in the virtual server {}, which should have {wanted}: connections are \
                 refused; {NEXT_SYNC}",
                At(*server)
            ),
            Cause::AllWeightsZero {
                server,
                destinations,
                asked,
            } => {
                let (at, ids) = (At(*server), ids(destinations));
                write!(
                    f,
                    "{service} takes no new connections: all destinations of the virtual server {at} have weight 0 ({ids}); "
                )?;
                match asked {
                    true => write!(
                        f,
                        "its EndpointSlices ask for that by the annotation {}; change it in one of them",
                        annotation::WEIGHT
                    ),
                    false => f.write_str(NEXT_SYNC),
                }
            }
            Cause::ServerDiffers { server, parts } => write!(
                f,
                "{service} has a virtual server {} that is not as it should be: {}; {NEXT_SYNC}",
                At(*server),
                List(parts)
            ),
            Cause::StaleFlows { server, flows } => {
                let shown = flows
                    .iter()
                    .map(|flow| format!("{} to {}", flow.client, flow.answers));
                write!(
                    f,
                    "{service} has flows of UDP in connection tracking that still go to what is no endpoint of {}: {}; \
                     delete them (conntrack -D -p udp --orig-dst {}), as kube-proxier does when an endpoint goes",
                    At(*server),
                    List(shown),
                    Address(*server)
                )
            }
            Cause::AnotherLink { address, link } => write!(
                f,
                "{service} has the cluster IP {address}, which is on link {link} and so not on {LINK}: this machine answers \
                 for it on the network of {link}, and all its ports are open; remove it (ip address del {address} dev {link})"
            ),
            Cause::NotBound {
                address,
                link: true,
            } => write!(
                f,
                "{service} has the address {address}, which is not on {LINK}: packets to {at} are routed away; {NEXT_SYNC}"
            ),
            Cause::NotBound { address, .. } => write!(
                f,
                "{service} has the address {address}, and there is no link {LINK} for it: packets to {at} are routed away; \
                 {NEXT_SYNC}"
            ),
            Cause::Rules {
                family: of,
                missing,
            } => {
                let tool = tool(*of);
                let first = missing.first().map_or("", String::as_str);
                write!(f, "{service} lacks rules of {tool}: {tool} {first}")?;
                match missing.len() {
                    0 | 1 => f.write_str(" is missing")?,
                    all => write!(f, " and {} more are missing", all - 1)?,
                }
                write!(
                    f,
                    ", as after iptables -F or a reload of a firewall; {NEXT_SYNC}"
                )
            }
            Cause::Input { family: of, rule } => write!(
                f,
                "{service} does not get what is sent to {at}: the filter table of {} refuses it before IPVS has it ({rule}); \
                 delete that rule, or accept packets to Services before it",
                tool(*of)
            ),
            Cause::Table { family: of, found } => {
                let word = match of {
                    Family::V4 => "ip",
                    Family::V6 => "ip6",
                };
                let state = match found {
                    true => "has other chains, rules or sets than it should",
                    false => "is missing, as after nft flush ruleset",
                };
                write!(
                    f,
                    "{service} depends on the table {word} {TABLE} of nf_tables, which {state}; {NEXT_SYNC}"
                )
            }
            Cause::Members(missing) => {
                write!(
                    f,
                    "{service} lacks set members for {at}: {}; {NEXT_SYNC}",
                    List(missing)
                )
            }
            Cause::Routing(missing) => write!(
                f,
                "{service} is not routed to this node: missing are {}; {NEXT_SYNC}",
                List(missing)
            ),
            Cause::Sysctl {
                sysctl,
                wanted,
                found,
            } => {
                write!(
                    f,
                    "{service} depends on the kernel setting {sysctl} = {wanted}, which "
                )?;
                match found {
                    Some(found) => write!(f, "is {found}; {NEXT_SYNC}"),
                    None => {
                        f.write_str("this kernel does not have; load the module (modprobe ip_vs)")
                    }
                }
            }
        }
    }
}

const fn tool(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    }
}

fn suggest<T: fmt::Display>(f: &mut fmt::Formatter<'_>, nearest: &[T]) -> fmt::Result {
    if nearest.is_empty() {
        return Ok(());
    }
    write!(f, "; the nearest: {}", List(nearest))
}

const fn not_proxied(reason: NotProxied) -> &'static str {
    match reason {
        NotProxied::OtherProxy => {
            "the label service.kubernetes.io/service-proxy-name gives it to another proxy"
        }
        NotProxied::ExternalName => "its type is ExternalName, which is a name in DNS only",
        NotProxied::Headless => {
            "it is headless (clusterIP: None); DNS gives its endpoints themselves"
        }
        NotProxied::NoPorts => "it has no ports",
        NotProxied::NoIpv6 => "it has IPv6 addresses alone, and this node does not serve IPv6",
    }
}

fn no_endpoint(f: &mut fmt::Formatter<'_>, service: &Label<'_>, reason: NoEndpoint) -> fmt::Result {
    match reason {
        NoEndpoint::NoSlice(of) => write!(
            f,
            "{service} has no endpoint: no {} EndpointSlice belongs to it; see whether its selector matches pods",
            family(of)
        ),
        NoEndpoint::Empty => write!(
            f,
            "{service} has no endpoint: its EndpointSlices are empty; see whether its selector matches pods"
        ),
        NoEndpoint::NotReady(count) => write!(
            f,
            "{service} has no endpoint that is ready ({count} are not): connections are refused; see the readiness probes \
             of its pods"
        ),
    }
}

/// The Service of a finding, with its port: `default/web:http`.
struct Label<'a>(&'a Finding);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.port {
            None => f.write_str("the node"),
            Some((service, port)) if port.is_empty() => write!(f, "{service}"),
            Some((service, port)) => write!(f, "{service}:{port}"),
        }
    }
}

/// The address of a virtual server alone.
struct Address(VirtualServerId);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            VirtualServerId::Address { address, .. } => address.fmt(f),
            VirtualServerId::FirewallMark { .. } => f.write_str("ADDRESS"),
        }
    }
}

/// A place, if there is one.
struct Maybe<'a>(Option<&'a At>);

impl fmt::Display for Maybe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(at) => at.fmt(f),
            None => f.write_str("it"),
        }
    }
}
