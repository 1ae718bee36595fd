//! The node's proxy, and the Service it programs.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use ipnetwork::IpNetwork;
use ipvs_netlink::VirtualServerId;
use proxier::cluster::Family;
use proxier::{
    Config, Conflict, DetectLocal, Kernel, Layout, ObservedServer, Operation, Plan, reconcile,
    translate,
};
use proxier_linux::LinuxKernel;

use scenarios::client::Protocol;
use scenarios::servers::serve;
use scenarios::topology::{Both, Topology};

pub(crate) const CLUSTER_IP: Both = Both("10.96.0.10", "fd00:10:96::10");
pub(crate) const EXTERNAL_IP: Both = Both("203.0.113.10", "2001:db8:113::10");
pub(crate) const BALANCER: Both = Both("198.51.100.7", "2001:db8:100::7");
/// The Service's port, TCP and UDP.
pub(crate) const PORT: u16 = 80;
pub(crate) const NODE_PORT: u16 = 30080;
/// The pods' port.
pub(crate) const TARGET: u16 = 8080;

/// The cluster's one Service, of both families, on the addresses above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Web {
    spec: Vec<String>,
    annotations: Vec<String>,
    /// The pods' port, if it is another than [`TARGET`].
    target: Option<u16>,
    /// In the place of its external IPs and its load balancer.
    pub(crate) addresses: Option<String>,
    /// Further ports.
    pub(crate) ports: String,
    pub(crate) target_ports: String,
    endpoints: Vec<Endpoint>,
    /// Of these, the ones that are shutting down and take nothing new.
    pub(crate) terminating: Vec<Endpoint>,
}

/// A pod behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// The one on this node.
    Here,
    Elsewhere,
    /// On the network of this node.
    #[allow(dead_code, reason = "of node ports at loopback addresses")]
    Host,
}

impl Web {
    /// With a pod on this node and one elsewhere.
    pub(crate) fn new() -> Self {
        Self::on(&[Endpoint::Here, Endpoint::Elsewhere])
    }

    pub(crate) fn on(endpoints: &[Endpoint]) -> Self {
        Self {
            endpoints: endpoints.to_vec(),
            ..Self::default()
        }
    }

    /// With a further field of its spec.
    pub(crate) fn with(mut self, field: &str) -> Self {
        self.spec.push(field.to_owned());
        self
    }

    /// With a further annotation.
    pub(crate) fn annotated(mut self, annotation: &str) -> Self {
        self.annotations.push(annotation.to_owned());
        self
    }

    /// With pods that have the port of the Service.
    #[allow(dead_code, reason = "of layouts that do not translate it")]
    pub(crate) fn on_its_port(mut self) -> Self {
        self.target = Some(PORT);
        self
    }

    fn manifest(&self) -> String {
        let Both(cluster4, cluster6) = CLUSTER_IP;
        let Both(external4, external6) = EXTERNAL_IP;
        let Both(balancer4, balancer6) = BALANCER;
        let more: String = self
            .spec
            .iter()
            .map(|field| format!("  {field}\n"))
            .collect();
        let own = [
            format!("externalIPs: ['{external4}', '{external6}']"),
            format!("loadBalancer: {{ingress: [{{ip: '{balancer4}'}}, {{ip: '{balancer6}'}}]}}"),
        ];
        let (external, balancer) = match &self.addresses {
            None => (own[0].clone(), own[1].clone()),
            Some(field) if field.starts_with("externalIPs") => {
                (field.clone(), "loadBalancer: {}".to_owned())
            }
            Some(field) => ("externalIPs: []".to_owned(), field.clone()),
        };
        let ports = &self.ports;
        let annotations = self.annotations.join(", ");
        let (slice4, slice6) = (self.slice(Family::V4), self.slice(Family::V6));
        format!(
            "apiVersion: v1
kind: Node
metadata: {{name: node-a}}
status:
  addresses: [{{type: InternalIP, address: 192.168.10.10}}, {{type: InternalIP, address: '2001:db8:10::10'}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web, annotations: {{{annotations}}}}}
spec:
  type: LoadBalancer
  clusterIP: {cluster4}
  clusterIPs: ['{cluster4}', '{cluster6}']
  ipFamilies: [IPv4, IPv6]
  {external}
  ports:
  - {{name: tcp, port: {PORT}, nodePort: {NODE_PORT}, protocol: TCP}}
  - {{name: udp, port: {PORT}, nodePort: {NODE_PORT}, protocol: UDP}}
{ports}{more}status:
  {balancer}
---
{slice4}---
{slice6}"
        )
    }

    fn slice(&self, family: Family) -> String {
        let endpoints: String = self
            .endpoints
            .iter()
            .map(|endpoint| {
                let (address, node) = match endpoint {
                    Endpoint::Here => (scenarios::topology::POD, "node-a"),
                    Endpoint::Elsewhere => (scenarios::topology::ELSEWHERE, "node-b"),
                    Endpoint::Host => (scenarios::topology::NODE, "node-a"),
                };
                let address = address.of(family);
                let conditions = if self.terminating.contains(endpoint) {
                    ", conditions: {ready: false, serving: false, terminating: true}"
                } else {
                    ""
                };
                format!("{{addresses: ['{address}'], nodeName: {node}{conditions}}}, ")
            })
            .collect();
        let name = match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        format!(
            "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-{family}, labels: {{kubernetes.io/service-name: web}}}}
addressType: {name}
endpoints: [{endpoints}]
ports: [{{name: tcp, port: {target}, protocol: TCP}}, {{name: udp, port: {target}, protocol: UDP}}{more}]
",
            target = self.target.unwrap_or(TARGET),
            more = self.target_ports,
            family = name.to_lowercase()
        )
    }
}

/// The kernel as a layout needs it.
pub(crate) fn open(layout: Layout) -> LinuxKernel {
    let kernel = LinuxKernel::open_for(layout)
        .unwrap()
        .with_patience(Duration::from_secs(60));
    match layout {
        Layout::Nftables => kernel.without_tools(),
        _ => kernel,
    }
}

/// Waits until this node takes an address for its own.
///
/// The kernel makes the route of an IPv6 address in a work queue, after it has acknowledged the address (addrconf_dad_work in
/// net/ipv6/addrconf.c). What comes before that is answered with "no route": TCP fails at once, and a datagram is lost.
fn await_local(address: IpAddr) {
    let deadline = Instant::now() + Duration::from_secs(5);
    let any = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    // Connecting chooses a source, and sends nothing: to an address of its own a host sends from that.
    let source = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((address, 9))?;
        socket.local_addr()
    };
    while !source().is_ok_and(|source| source.ip() == address) {
        assert!(Instant::now() < deadline, "{address}: {:?}", source());
        thread::sleep(Duration::from_millis(5));
    }
}

/// The node's kernel, programmed by what is under test.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) kernel: LinuxKernel,
    /// Where the API server is.
    pub(crate) api_servers: BTreeSet<SocketAddr>,
    /// What could not be served of what was last set.
    pub(crate) conflicts: Vec<Conflict>,
}

impl Node {
    /// All namespaces with a server in each pod, and the node's kernel with the Service in it. Pods are
    /// told from others by their addresses.
    pub(crate) fn serving(layout: Layout, web: &Web) -> (Topology, Self) {
        let pods = ["10.244.0.0/16", "fd00:10:244::/48"];
        let pods = pods.map(|network| network.parse::<IpNetwork>().unwrap());
        let mut config = Config::with_layout(layout);
        config.detect_local = DetectLocal::ClusterCidr(pods.to_vec());
        Self::configured(config, web)
    }

    pub(crate) fn configured(config: Config, web: &Web) -> (Topology, Self) {
        let topology = Topology::new();
        serve(&topology.pod, "pod", TARGET);
        serve(&topology.elsewhere, "elsewhere", TARGET);
        if config.layout == Layout::Nftables {
            // What the node itself sends to a Service has to have a route, and a source.
            topology.node.cmd(
                "ip route add default via 192.168.10.2 && ip route add default via 2001:db8:10::2",
            );
        }
        let mut node = Self::unconnected(config);
        node.set(web);
        (topology, node)
    }

    /// With nobody to send anything.
    pub(crate) fn unconnected(config: Config) -> Self {
        let kernel = open(config.layout);
        Self {
            config,
            kernel,
            api_servers: BTreeSet::new(),
            conflicts: Vec::new(),
        }
    }

    /// Has the kernel hold what the cluster now asks for, and gives the plan that did it.
    pub(crate) fn set(&mut self, web: &Web) -> Plan {
        let reading = proxier_manifest::read_cluster("web", web.manifest().as_bytes());
        assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
        let mut host = self.kernel.host("node-a").unwrap();
        host.api_servers.clone_from(&self.api_servers);
        let desired = translate(&reading.cluster, &host, &self.config);
        self.conflicts.clone_from(&desired.conflicts);
        let plan = reconcile(&desired, &self.kernel.observe().unwrap());
        let applied = self.kernel.apply(&plan);
        let failures: Vec<_> = applied.failures.iter().map(ToString::to_string).collect();
        assert!(failures.is_empty(), "{failures:#?}");
        for (_, operation) in plan.iter() {
            if let Operation::BindAddress(address) = operation {
                await_local(*address);
            }
        }
        plan
    }

    /// A virtual server as the kernel has it.
    pub(crate) fn server(&mut self, protocol: Protocol, address: SocketAddr) -> ObservedServer {
        let id = VirtualServerId::Address {
            protocol: match protocol {
                Protocol::Tcp => ipvs_netlink::Protocol::TCP,
                Protocol::Udp => ipvs_netlink::Protocol::UDP,
            },
            address: address.ip(),
            port: address.port(),
        };
        let observed = self.kernel.observe().unwrap();
        let server = observed.server(&id);
        server
            .unwrap_or_else(|| panic!("no virtual server {address}"))
            .clone()
    }
}
