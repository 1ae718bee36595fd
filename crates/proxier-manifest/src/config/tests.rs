use ipnetwork::IpNetwork;
use ipvs_netlink::Scheduler;
use proxier::{DetectLocal, Layout, NodePortAddresses};

use super::*;

fn read(text: &str) -> Result<Config, ConfigError> {
    let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    read_config("c", format!("{head}{text}").as_bytes())
}

fn wrong_fields(text: &str) -> Vec<String> {
    let error = read(text).unwrap_err();
    error
        .errors
        .iter()
        .map(|error| error.field.to_string())
        .collect()
}

#[test]
fn an_empty_configuration_is_the_default() {
    assert_eq!(read("").unwrap(), Config::default());
}

#[test]
fn every_field_of_the_mode_is_read() {
    let reading = read(
        "mode: ipvs\nhostnameOverride: n1\ndetectLocalMode: InterfaceNamePrefix\n\
         detectLocal: {interfaceNamePrefix: veth}\nclusterCIDR: '10.0.0.0/8,fd00::/8'\n\
         nodePortAddresses: [primary]\niptables: {masqueradeBit: 0, masqueradeAll: true}\n\
         ipvs: {scheduler: mh, strictARP: true, excludeCIDRs: [172.31.0.0/16], syncPeriod: 1m,\n\
         minSyncPeriod: 2s, tcpTimeout: 15m, tcpFinTimeout: 60s, udpTimeout: 0s}\n",
    );
    let config = reading.unwrap();
    assert_eq!(config.hostname_override.as_deref(), Some("n1"));
    assert_eq!(
        config.detect_local,
        DetectLocal::InterfaceNamePrefix("veth".into())
    );
    assert_eq!(config.node_port_addresses, NodePortAddresses::Primary);
    assert_eq!((config.masquerade_mark(), config.masquerade_all), (1, true));
    assert_eq!((config.scheduler, config.strict_arp), (Scheduler::MH, true));
    assert!(config.excludes("172.31.1.1".parse().unwrap()));
    assert_eq!(
        (
            config.sync_period.as_secs(),
            config.min_sync_period.as_secs()
        ),
        (60, 2)
    );
    let timeouts = config.timeouts;
    assert_eq!((timeouts.tcp, timeouts.tcp_fin, timeouts.udp), (900, 60, 0));
}

#[test]
fn iptables_mode_has_fields_of_its_own() {
    let config = read(
        "mode: iptables\niptables: {localhostNodePorts: false, syncPeriod: 1m, minSyncPeriod: 3s}\n\
         conntrack: {tcpBeLiberal: true}\nipvs: {syncPeriod: 5m, minSyncPeriod: 4m}\n",
    );
    let config = config.unwrap();
    assert_eq!(config.layout, Layout::Iptables);
    assert_eq!(config.localhost_node_ports, Some(false));
    assert!(config.conntrack_tcp_be_liberal);
    let periods = [config.sync_period, config.min_sync_period];
    assert_eq!(periods.map(|period| period.as_secs()), [60, 3]);

    let config = read("mode: ipvs\niptables: {syncPeriod: 1m, minSyncPeriod: 3s}\n").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(
        wrong_fields("mode: iptables\niptables: {syncPeriod: 1s, minSyncPeriod: 2s}\n"),
        ["iptables.minSyncPeriod"]
    );
}

#[test]
fn marks_and_routing_of_layout_nftables_are_fields_of_ipvs() {
    let config =
        read("ipvs: {routeMark: 0x8, serviceMarks: 48, routingTable: 77000, rulePriority: 500}\n");
    let marks = config.unwrap().nftables;
    assert_eq!(
        (
            marks.route_mark,
            marks.service_marks,
            marks.routing_table.0,
            marks.rule_priority
        ),
        (0x8, 0x30, 77_000, 500)
    );
    assert_eq!(
        wrong_fields("ipvs: {routeMark: -1, serviceMarks: 4294967296, routingTable: -1}\n"),
        ["ipvs.routeMark", "ipvs.routingTable", "ipvs.serviceMarks"]
    );
}

#[test]
fn ping_is_answered_if_the_configuration_says_so() {
    for (text, answered) in [
        ("mode: ipvs\n", false),
        ("ipvs: {answerPing: false}\n", false),
        ("ipvs: {answerPing: true}\n", true),
    ] {
        assert_eq!(read(text).unwrap().nftables.answer_ping, answered, "{text}");
    }
    assert_eq!(
        wrong_fields("ipvs: {answerPing: often}\n"),
        ["ipvs.answerPing"]
    );
}

#[test]
fn a_misspelt_field_is_named_at_any_depth() {
    let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    let text = format!("{head}ipvs: {{schedular: rr, scheduler: wrr}}\nclusterCidr: 10.0.0.0/8\n");
    let document = ConfigDocument::read("c", text.as_bytes()).unwrap();
    let fields: Vec<_> = document.warnings.iter().map(|w| &*w.field).collect();
    assert_eq!(fields, ["clusterCidr", "ipvs.schedular"]);
    // The rest counts.
    let mut errors = FieldErrors::default();
    let mut expected = Config::default();
    expected.scheduler = Scheduler::WRR;
    assert_eq!(document.config(&mut errors), expected);
    assert!(errors.is_empty());
}

#[test]
fn all_faults_are_reported_at_once() {
    let found = wrong_fields(
        "mode: userspace\nclusterCIDR: 10.0.0.0/99\nnodePortAddresses: [x, primary]\n\
         iptables: {masqueradeBit: 32}\ndetectLocalMode: BridgeInterface\n\
         ipvs: {scheduler: far-too-long-a-name, excludeCIDRs: [1.2.3.4], tcpTimeout: -1s, \
         syncPeriod: 1s, minSyncPeriod: 2s}\n",
    );
    assert_eq!(
        found,
        [
            "clusterCIDR[0]",
            "detectLocal.bridgeInterface",
            "iptables.masqueradeBit",
            "ipvs.excludeCIDRs[0]",
            "ipvs.minSyncPeriod",
            "ipvs.scheduler",
            "ipvs.tcpTimeout",
            "mode",
            "nodePortAddresses[0]",
            "nodePortAddresses[1]",
        ]
    );
}

fn warnings(text: &[u8]) -> (Vec<String>, Config) {
    let document = ConfigDocument::read("c", text).unwrap();
    let mut errors = FieldErrors::default();
    let config = document.config(&mut errors);
    assert!(errors.is_empty());
    let fields = document.warnings.iter().map(|w| w.field.to_string());
    (fields.collect(), config)
}

/// What stopped the daemon (peers.md, no. 68).
#[test]
fn unknown_fields_are_all_named_and_the_rest_counts() {
    let (fields, config) = warnings(include_bytes!(
        "../../tests/cases/config/unknown-field.yaml"
    ));
    assert_eq!(fields, ["fieldOfANewerKubernetes", "ipvs.anotherNewField"]);
    assert_eq!(config, Config::default());
}

#[test]
fn duplicate_fields_are_all_named_and_the_last_counts() {
    let expected = ["ipvs.scheduler", "ipvs.strictARP", "mode"];
    let yaml = "kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nmode: iptables\nmode: ipvs\n\
                ipvs:\n  scheduler: rr\n  strictARP: true\n  scheduler: wrr\n  strictARP: true\n";
    let json = r#"{"kind": "KubeProxyConfiguration", "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "mode": "iptables",
        "mode": "ipvs", "ipvs": {"scheduler": "rr", "strictARP": true, "scheduler": "wrr", "strictARP": true}}"#;
    for text in [yaml, json] {
        let (fields, config) = warnings(text.as_bytes());
        assert_eq!(fields, expected, "{text}");
        assert_eq!(
            (config.scheduler, config.strict_arp),
            (Scheduler::WRR, true)
        );
    }
    // A wrong value is an error all the same.
    let error = read("mode: ipvs\nmode: userspace\n").unwrap_err();
    assert_eq!(&*error.errors[0].field, "mode");
}

#[test]
fn leading_zeros_are_read_as_decimal() {
    let text = "kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1alpha1\n\
                clusterCIDR: 10.244.0.0/16,fd00::/064\nnodePortAddresses: [192.168.001.0/24]\n\
                ipvs: {excludeCIDRs: [010.000.0.0/016]}\n";
    let (fields, config) = warnings(text.as_bytes());
    assert_eq!(
        fields,
        [
            "clusterCIDR[1]",
            "ipvs.excludeCIDRs[0]",
            "nodePortAddresses[0]"
        ]
    );
    assert_eq!(
        config.exclude_cidrs,
        ["10.0.0.0/16".parse::<IpNetwork>().unwrap()]
    );
}

#[test]
fn a_type_that_does_not_fit_is_named() {
    assert_eq!(
        wrong_fields("ipvs: {strictARP: perhaps}\n"),
        ["ipvs.strictARP"]
    );
}

#[test]
fn it_is_found_among_other_documents() {
    let text = "kind: ClusterConfiguration\n---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\n\
                kind: KubeProxyConfiguration\nmode: ipvs\n";
    assert!(read_config("c", text.as_bytes()).is_ok());
    assert!(read_config("c", b"").is_err());
    assert!(read_config("c", b"kind: Other\n").is_err());
}

#[test]
fn the_nodes_name_is_trimmed_and_lowered() {
    let config = read("hostnameOverride: ' Node-1 '\n").unwrap();
    assert_eq!(config.hostname_override.as_deref(), Some("node-1"));
}
