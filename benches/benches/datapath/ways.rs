//! The ways from a client to an endpoint, and how they are programmed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use benches::kube_proxy;
use benches::steps::started_as;
use kernel_test::cmd_input;
use proxier::{Config, DetectLocal, Kernel as _, Layout};
use proxier_linux::LinuxKernel;

use crate::ENDPOINTS;
use crate::network::{Network, PODS, TARGET};

/// What is between the client and the endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The node routes, and that is all.
    Nothing,
    Ours(Layout),
    /// The rules of kube-proxy's nftables mode.
    KubeProxyNftables,
}

/// The Services of a cluster that are measured.
pub(crate) const PLACES: [&str; 2] = ["first Service", "last Service"];

impl Way {
    pub(crate) const ALL: [Self; 5] = [
        Self::Nothing,
        Self::Ours(Layout::Nftables),
        Self::Ours(Layout::Current),
        Self::KubeProxyNftables,
        Self::Ours(Layout::Iptables),
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "floor: to the endpoint itself",
            Self::Ours(Layout::Nftables) => "layout `nftables`",
            Self::Ours(Layout::Iptables) => "iptables mode",
            Self::Ours(_) => "layout `current`",
            Self::KubeProxyNftables => "the rules of kube-proxy's nftables mode",
        }
    }

    /// Programs the node; returns where the first Service and the last of the cluster are.
    pub(crate) fn program(self, network: &Network, services: u32) -> [SocketAddr; 2] {
        let cluster = benches::cluster(services, ENDPOINTS);
        match self {
            Self::Nothing => {
                let endpoints = [1, services * ENDPOINTS];
                return endpoints.map(|n| SocketAddr::new(numbered(100, n), TARGET));
            }
            Self::KubeProxyNftables => {
                let rules = kube_proxy::ruleset(&cluster, PODS);
                network.node.run(|| cmd_input("nft -f -", &rules));
            }
            Self::Ours(layout) => network.node.run(|| {
                let kernel = LinuxKernel::open_for(layout).expect("a kernel");
                let mut kernel = kernel.with_patience(PATIENCE);
                let mut config = Config::with_layout(layout);
                config.detect_local =
                    DetectLocal::ClusterCidr(vec![PODS.parse().expect("a network")]);
                let mut engine = started_as(config, cluster);
                engine.set_host(kernel.host(benches::NODE).expect("links"));
                let plan = engine.audit(&kernel.observe().expect("an empty kernel"));
                let applied = kernel.apply(&plan);
                assert!(applied.is_ok(), "{:?}", applied.failures.first());
            }),
        }
        let places = match self {
            Self::Ours(Layout::Iptables) => in_order_of_rules(network),
            _ => [1, services].map(|n| numbered(10, n)),
        };
        places.map(|address| SocketAddr::new(address, 80))
    }
}

/// The guest's clock leaps from timer to timer while it waits for this machine: days for a module that is read from a busy disk.
const PATIENCE: Duration = Duration::from_secs(u32::MAX as u64);

/// Address number `n` of a network, as [`benches::cluster`] hands them out.
fn numbered(net: u8, n: u32) -> IpAddr {
    let [_, b, c, d] = n.to_be_bytes();
    Ipv4Addr::new(net, b, c, d).into()
}

/// The cluster IPs whose rules are walked first and last.
fn in_order_of_rules(network: &Network) -> [IpAddr; 2] {
    let rules = network.node.cmd("iptables -t nat -S KUBE-SERVICES");
    let mut addresses = rules.lines().filter_map(|rule| {
        let mut words = rule.split_whitespace();
        words.find(|word| *word == "-d")?;
        let address = words.next()?.strip_suffix("/32")?;
        address.parse().ok()
    });
    let first = addresses.next().expect("a rule of a Service");
    [first, addresses.next_back().unwrap_or(first)]
}
