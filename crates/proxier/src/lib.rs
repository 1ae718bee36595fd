//! Kubernetes Services to IPVS state, as a pure reconcile function.
//!
//! ```text
//! cluster ─► translate ─► Desired ─┐
//!                                  ├─► reconcile ─► Plan ─► Kernel::apply
//!     Kernel::observe ─► Observed ─┘
//!
//! Change ─► Engine ─► Plan ─► Kernel::apply ─► Engine
//! ```
//!
//! - [`cluster`]: the Services, EndpointSlices and Nodes. The crate `proxier-manifest` reads them from YAML and JSON.
//! - [`translate()`]: what the kernel of one node should hold of a cluster.
//! - [`reconcile()`]: the steps from what it holds to what it should, in an order that keeps every Service
//!   working at every step.
//! - [`Engine`]: both in one, for programs that follow a cluster. It takes changes and gives plans; a plan costs as much
//!   as the change, however large the cluster is.
//! - [`explain`](mod@explain): why a Service or an address is served on a node, or not.
//! - [`kernel`]: where plans are carried out. [`MemoryKernel`] keeps a kernel's rules in memory; the crate
//!   `proxier-linux` has the kernel of this machine.
//!
//! `translate` and `reconcile` are functions of their arguments: no clock, no environment, no input or output. Equal
//! arguments give equal results in equal order. The engine has no clock and does no input or output either.
//!
//! # Example
//!
//! ```
//! use proxier::cluster::{Cluster, Host};
//! use proxier::{Config, Kernel, MemoryKernel, reconcile, translate};
//!
//! let yaml = "
//! apiVersion: v1
//! kind: Service
//! metadata: {name: web}
//! spec: {clusterIP: 10.0.0.7, ports: [{name: http, port: 80}]}
//! ---
//! apiVersion: discovery.k8s.io/v1
//! kind: EndpointSlice
//! metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
//! addressType: IPv4
//! endpoints: [{addresses: [10.244.1.5]}]
//! ports: [{name: http, port: 8080}]
//! ";
//! let cluster = proxier_manifest::read_cluster("web.yaml", yaml.as_bytes()).cluster;
//! let host = Host::new("node-a");
//! let desired = translate(&cluster, &host, &Config::default());
//!
//! let mut kernel = MemoryKernel::new();
//! let plan = reconcile(&desired, &kernel.observe()?);
//! assert!(plan.to_string().contains("+ ipvs      -a -t 10.0.0.7:80 -r 10.244.1.5:8080 -m -w 1"));
//! assert!(kernel.apply(&plan).is_ok());
//! assert!(reconcile(&desired, &kernel.observe()?).is_empty());
//! # Ok::<(), proxier::KernelError>(())
//! ```
//!
//! An engine takes each change once, and the result of each plan:
//!
//! ```
//! use proxier::cluster::{Change, Host, ObjectName, Service};
//! use proxier::{Config, Engine, Kernel, MemoryKernel};
//!
//! let mut kernel = MemoryKernel::new();
//! let mut engine = Engine::new(Host::new("node-a"), Config::default());
//! let plan = engine.audit(&kernel.observe()?); // what is found is taken over
//! engine.applied(&plan, &kernel.apply(&plan));
//!
//! let name = ObjectName::new("default", "web");
//! let web = Service::new(name.clone(), vec!["10.0.0.7".parse().unwrap()]);
//! for change in [Change::Service(Box::new(web)), Change::ServiceGone(name)] {
//!     engine.change(change);
//!     let plan = engine.plan();
//!     engine.applied(&plan, &kernel.apply(&plan));
//! }
//! assert!(engine.plan().is_empty());
//! # Ok::<(), proxier::KernelError>(())
//! ```
//!
//! # Deliberate differences from the reference
//!
//! The state it aims at is that of kube-proxy's ipvs mode (v1.36 for [`Layout::Current`], v1.20 for
//! [`Layout::Classic`]), measured on a real kernel, but for these:
//!
//! | what | reference | here | tests |
//! |---|---|---|---|
//! | several Services claim one virtual server | left to the order of a hash map | a cluster IP comes first, then the older Service; the others are reported ([`Conflict`]) | cases: `a_cluster_ip_comes_before_an_older_services_external_ip` |
//! | an external IP or load balancer address that is another Node's, an endpoint's or the API server's (current) | bound, so that this node no longer reaches its owner | not claimed, and reported ([`Holder`]) | cases: `addresses_of_nodes_endpoints_and_the_api_server_are_not_taken` |
//! | an external IP, load balancer address or endpoint that is a loopback address or the null address | bound, or sent to | left out, and reported | proxier-manifest: `addresses_that_every_machine_has_are_left_out` |
//! | source ranges of which none can be used | restrict nobody | let nobody in | services: `a_closed_family_lets_nobody_in` |
//! | `nodePortAddresses` that match no address of the node | in some versions, all addresses | no address | services: `networks_without_an_address_of_the_node_serve_no_node_ports` |
//! | virtual servers of others | removed, but for `excludeCIDRs` | left alone, see [`Ownership`]; [`Config::remove_foreign_servers`] brings the reference's way back | scenarios: `others_virtual_servers_stay_by_default` |
//! | a link called `kube-ipvs0` that is not a dummy link | used | an error; nothing is changed | proxier-linux: `a_link_of_another_kind_is_somebody_elses` |
//! | addresses on a link that was `kube-ipvs0` until somebody renamed it | count as the node's | do not | proxier-linux: `addresses_of_a_renamed_link_are_not_the_nodes` |
//! | a Service's port that is the number of a node port (current) | traffic to service addresses loses its source address | `nat/KUBE-NODE-PORT` returns first what goes to an address in `KUBE-IPVS-IPS` | cases: `node_port_rules_leave_out_service_addresses` |
//! | an INPUT chain whose policy, or last rule, refuses | refuses Service traffic too, the health check port excepted | a jump at the end of `filter/INPUT` to `KUBE-IPVS-ACCEPT`, which accepts members of the sets of services and node ports; rules before it that refuse somebody still do | input; proxier-linux: `input_that_drops_lets_services_pass` |
//! | an endpoint address in two entries | depends on the order of slices | the entry that is not terminating decides, then the ready one, then the first | cases: `an_entry_that_is_not_terminating_decides_over_one_that_is` |
//! | jumps and rules found several times | left | reduced to one | cases: `jumps_found_several_times_are_reduced_to_one` |
//! | a set needs more than 65,536 members | members are lost | it is made with room for them and swapped in | memory_kernel: `a_set_that_is_too_small_is_made_anew_and_swapped` |
//! | a cluster IP that another link has | bound all the same (current) | not bound, like any other address | memory_kernel: `an_address_of_another_link_is_not_bound` |
//! | virtual servers found with other settings | changed, or taken for equal | changed in place | memory_kernel: `a_virtual_server_found_with_other_settings_is_changed_in_place` |
//! | a TCP destination that is not wanted any more and has connections | gets weight 0; deleted and added where it is wanted again, forgotten after a restart | gets weight 0; its weight comes back where it is wanted again, after a restart too | memory_kernel: `a_tcp_destination_drains_and_comes_back_or_goes` |
//! | the order of changes | virtual servers and addresses first, rules last | sets and rules first, so that no moment passes without masquerading; while rules fail, the virtual servers that need them wait ([`kernel::Guard`]) | properties: `every_prefix_of_a_plan_is_safe`; held_back |
//! | ranges of ports, by annotation of a Service | unknown | rules in mangle and a virtual server by mark, while a Service asks for them | ranges; proxier-linux: packets, `ranges::…` |
//! | classic: packets marked 0x8000 | dropped by kubelets of that time | dropped by a rule of its own in `filter/KUBE-FIREWALL` | scenarios: `classic_layout` |
//! | classic: health check ports, an INPUT chain that refuses | refused: v1.20 has no set for these ports | the same, on purpose: the sets of this layout are those of its reference | input: `health_check_ports_pass_in_the_current_layout_and_not_in_the_classic_one` |
//! | classic: IPv6 | not at all | in clusters that have IPv6 Services | proxier-linux: packets of `classic`, `ipv6` |
//!
//! Tests are those of this crate, in the file of that name below `tests/`, where no other crate is named. What the daemon does
//! otherwise than kube-proxy, in its endpoints, metrics and flags, is in the documentation of `kube-proxier`.
//!
//! Iptables mode ([`Layout::Iptables`]) aims at the state of kube-proxy v1.36 in that mode, but for these:
//!
//! | what | reference | here |
//! |---|---|---|
//! | several Services claim one address and port | the order of a hash map | as in ipvs mode, and reported ([`Conflict`]) |
//! | order of different Services' rules in shared chains | that of a hash map | sorted; rules that are found stay where they are |
//! | `KUBE-PROXY-CANARY` in nat and filter | its own | removed where it is found |
//! | jumps and rules found several times | left | reduced to one |
//! | `route_localnet` | set before the rule that guards loopback addresses, and left behind | set after it, and reset before it is removed; while a kubelet writes that rule both stay |
//! | rules refused in the filter table | one transaction before the nat table | new ones before it, those no longer needed after it |
//!
//! What a client outside a load balancer's source ranges sends is marked, in the classic layout, by
//! `nat/KUBE-MARK-DROP`, a chain that the kubelet of that time filled and this proxy leaves as it finds it. Where
//! kubelet no longer does (from v1.27), that rule is the operator's to add, `-A KUBE-MARK-DROP -j MARK --or-mark 0x8000`,
//! or source ranges refuse no client; [`Layout::Current`] needs no such help.
#![forbid(unsafe_code)]

pub mod cluster;
mod config;
mod conflict;
mod desired;
mod engine;
pub mod explain;
mod hash;
mod health;
pub mod kernel;
mod layout;
mod observed;
mod ownership;
mod plan;
mod reconcile;
mod settings;
mod translate;

// The crates whose types this one shows.
pub use {
    dummy_link, ipnetwork, ipset_netlink, iptables_restore, ipvs_netlink, netlink_wire,
    nftables_netlink,
};

pub use cluster::LINK;
pub use config::{Config, DetectLocal, InvalidConfig, NodePortAddresses};
pub use conflict::{Conflict, ConflictChange, Holder, NotForwarded, NotShared};
pub use desired::{Desired, DesiredSet, DesiredTable, Drain, FamilyState, Server};
pub use engine::{DrainingDestination, Engine, Held, RuleCounts};
pub use health::{NoLocalEndpoints, ServiceHealth, service_health};
pub use kernel::{Kernel, KernelError, KernelErrorKind, KernelPart, MemoryKernel};
pub use layout::nftables;
pub use layout::{
    FamilyRules, IptablesRules, Layout, LocalSource, MarkedRange, Masqueraded, PORT_RANGES,
    PortRules, PortSpec, RangeRule, SetId, SetIds, SourceRangeDrop, Sources,
};
pub use observed::{
    Observed, ObservedDestination, ObservedServer, ObservedTable, ServerConnections,
};
pub use ownership::Ownership;
pub use plan::{Line, Operation, Phase, Plan, RulesChange, Sign, TablePart, TableWrite};
pub use reconcile::reconcile;
pub use settings::Sysctl;
pub use translate::{NoEffect, UnusedOption, translate, unused_options};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
