//! The rules that kube-proxy's nftables mode writes, for clusters of [`cluster`](crate::cluster()), as a peer of the packet
//! costs: a verdict map by address, protocol and port; a chain for each Service, which takes an endpoint at random; a chain
//! for each endpoint, which translates the destination; masquerading by mark.
//!
//! Chains, hooks and priorities are those of `pkg/proxy/nftables/proxier.go` of Kubernetes, at commit 01d7de5464ba.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::num::NonZeroU16;

use proxier::cluster::{Cluster, EndpointSlice};

/// The mark by which packets are masqueraded, kube-proxy's default.
const MASQUERADE: u32 = 0x4000;

/// What does not depend on Services. Its maps of node ports, firewalled ports and ports without endpoints are empty.
const BASE: &str = "\
table ip kube-proxy {
	map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
	map service-nodeports { type inet_proto . inet_service : verdict; }
	map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
	map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
	map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
	chain services {
		ip daddr . meta l4proto . th dport vmap @service-ips
		fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @service-nodeports
	}
	chain endpoints-check {
		ip daddr . meta l4proto . th dport vmap @no-endpoint-services
		fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @no-endpoint-nodeports
	}
	chain firewall-check {
		ip daddr . meta l4proto . th dport vmap @firewall-ips
	}
	chain filter-prerouting {
		type filter hook prerouting priority -110;
		ct state new jump firewall-check
	}
	chain filter-input {
		type filter hook input priority -110;
		ct state new jump endpoints-check
	}
	chain filter-forward {
		type filter hook forward priority -110;
		ct state new jump endpoints-check
	}
	chain filter-output {
		type filter hook output priority -110;
		ct state new jump endpoints-check
		ct state new jump firewall-check
	}
	chain nat-prerouting {
		type nat hook prerouting priority -100;
		jump services
	}
	chain nat-output {
		type nat hook output priority -100;
		jump services
	}
";

/// The table of IPv4, as `nft -f` reads it. `pods` is the network that traffic of pods comes from.
#[must_use]
pub fn ruleset(cluster: &Cluster, pods: &str) -> String {
    let mut text = String::from(BASE);
    let _ = write!(
        text,
        "\tchain mark-for-masquerade {{\n\t\tmark set mark or {MASQUERADE:#x}\n\t}}\n\
         \tchain masquerading {{\n\t\tmark and {MASQUERADE:#x} == 0 return\n\
         \t\tmark set mark xor {MASQUERADE:#x}\n\t\tmasquerade fully-random\n\t}}\n\
         \tchain nat-postrouting {{\n\t\ttype nat hook postrouting priority 100;\n\t\tjump masquerading\n\t}}\n"
    );
    let mut slices: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in cluster.slices.values() {
        let service = (slice.name.namespace(), &*slice.service);
        slices.entry(service).or_default().push(slice);
    }
    let mut elements = Vec::new();
    for service in cluster.services.values() {
        let (namespace, name) = (service.name.namespace(), service.name.name());
        let Some(IpAddr::V4(address)) = service.cluster_ips.first() else {
            continue;
        };
        let own = slices.get(&(namespace, name));
        for port in &service.ports {
            let base = format!("{namespace}/{name}/tcp/{}", port.name);
            let verdicts: Vec<_> = targets(own.into_iter().flatten(), &port.name)
                .enumerate()
                .map(|(place, (to, target))| {
                    let chain = format!("endpoint-{base}__{to}/{target}");
                    let _ = write!(
                        text,
                        "\tchain {chain} {{\n\t\tip saddr {to} jump mark-for-masquerade\n\
                         \t\tmeta l4proto tcp dnat to {to}:{target}\n\t}}\n"
                    );
                    format!("{place} : goto {chain}")
                })
                .collect();
            let (count, all) = (verdicts.len(), verdicts.join(", "));
            let port = port.port;
            let _ = write!(
                text,
                "\tchain service-{base} {{\n\
                 \t\tip daddr {address} tcp dport {port} ip saddr != {pods} jump mark-for-masquerade\n\
                 \t\tnumgen random mod {count} vmap {{ {all} }}\n\t}}\n"
            );
            elements.push(format!("{address} . tcp . {port} : goto service-{base}"));
        }
    }
    text += "}\n";
    if !elements.is_empty() {
        let all = elements.join(",\n");
        let _ = write!(
            text,
            "add element ip kube-proxy service-ips {{\n{all}\n}}\n"
        );
    }
    text
}

/// The addresses and ports behind a port of a Service.
fn targets<'a>(
    slices: impl Iterator<Item = &'a &'a EndpointSlice>,
    port: &str,
) -> impl Iterator<Item = (IpAddr, NonZeroU16)> {
    slices.flat_map(move |slice| {
        let ports = slice
            .ports
            .iter()
            .filter(move |target| &*target.name == port);
        ports.flat_map(|target| {
            let endpoints = slice.endpoints.iter();
            endpoints.map(|endpoint| (endpoint.address, target.port))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_an_element_and_a_chain_and_each_endpoint_a_chain() {
        let text = ruleset(&crate::cluster(3, 2), "100.0.0.0/8");
        assert_eq!(text.matches("chain service-bench/service-").count(), 3);
        assert_eq!(text.matches("chain endpoint-bench/service-").count(), 6);
        let whole = "\tchain endpoint-bench/service-1/tcp/http__100.0.0.3/8080 {
\t\tip saddr 100.0.0.3 jump mark-for-masquerade
\t\tmeta l4proto tcp dnat to 100.0.0.3:8080
\t}
\tchain endpoint-bench/service-1/tcp/http__100.0.0.4/8080 {
\t\tip saddr 100.0.0.4 jump mark-for-masquerade
\t\tmeta l4proto tcp dnat to 100.0.0.4:8080
\t}
\tchain service-bench/service-1/tcp/http {
\t\tip daddr 10.0.0.2 tcp dport 80 ip saddr != 100.0.0.0/8 jump mark-for-masquerade
\t\tnumgen random mod 2 vmap { 0 : goto endpoint-bench/service-1/tcp/http__100.0.0.3/8080, \
1 : goto endpoint-bench/service-1/tcp/http__100.0.0.4/8080 }
\t}
";
        assert!(text.contains(whole), "{text}");
        let element = "\n10.0.0.2 . tcp . 80 : goto service-bench/service-1/tcp/http,\n";
        assert!(text.contains(element), "{text}");
    }
}
