use super::*;

fn read(text: &str) -> Result<ConfigReading, ConfigError> {
    let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    let document = ConfigDocument::read("c", format!("{head}{text}").as_bytes())?;
    super::read(&document)
}

fn wrong_fields(text: &str) -> Vec<String> {
    let errors = read(text).unwrap_err().errors;
    errors.iter().map(|error| error.field.to_string()).collect()
}

#[test]
fn other_modes_are_nobodys_business() {
    let reading =
        read("nftables: {masqueradeBit: x, new: 1}\nwinkernel: {enableDSR: maybe}\n").unwrap();
    assert_eq!(reading.unused, ["nftables".into(), "winkernel".into()]);
}

#[test]
fn an_empty_configuration_says_of_the_process_what_kube_proxy_defaults_to() {
    let process = read("").unwrap().process;
    assert_eq!(process, Process::default());
    let address = |address: Option<SocketAddr>| address.unwrap().to_string();
    assert_eq!(address(process.healthz_bind_address), "0.0.0.0:10256");
    assert_eq!(address(process.metrics_bind_address), "127.0.0.1:10249");
    let v6 = read("bindAddress: '::'\n").unwrap().process;
    assert_eq!(address(v6.healthz_bind_address), "[::]:10256");
    assert_eq!(address(v6.metrics_bind_address), "[::1]:10249");
}

#[test]
fn what_kubeadm_writes_is_read() {
    // The fields and values of kubeadm's ConfigMap, but for the mode: as people who run it publish theirs since
    // nftables mode is in it. Not captured from a certain release.
    let reading = read(
        "bindAddress: 0.0.0.0\nbindAddressHardFail: false\nclientConnection:\n  acceptContentTypes: \"\"\n  \
         burst: 0\n  contentType: \"\"\n  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf\n  qps: 0\n\
         clusterCIDR: \"\"\nconfigSyncPeriod: 0s\nconntrack:\n  maxPerCore: null\n  min: null\n  \
         tcpBeLiberal: false\n  tcpCloseWaitTimeout: null\n  tcpEstablishedTimeout: null\n  udpStreamTimeout: 0s\n  \
         udpTimeout: 0s\ndetectLocal:\n  bridgeInterface: \"\"\n  interfaceNamePrefix: \"\"\ndetectLocalMode: \"\"\n\
         enableProfiling: false\nhealthzBindAddress: \"\"\nhostnameOverride: \"\"\niptables:\n  \
         localhostNodePorts: null\n  masqueradeAll: false\n  masqueradeBit: null\n  minSyncPeriod: 0s\n  \
         syncPeriod: 0s\nipvs:\n  excludeCIDRs: null\n  minSyncPeriod: 0s\n  scheduler: \"\"\n  strictARP: false\n  \
         syncPeriod: 0s\n  tcpFinTimeout: 0s\n  tcpTimeout: 0s\n  udpTimeout: 0s\nlogging:\n  flushFrequency: 0\n  \
         options:\n    json:\n      infoBufferSize: \"0\"\n    text:\n      infoBufferSize: \"0\"\n  verbosity: 0\n\
         metricsBindAddress: \"\"\nmode: ipvs\nnftables:\n  masqueradeAll: false\n  masqueradeBit: null\n  \
         minSyncPeriod: 0s\n  syncPeriod: 0s\nnodePortAddresses: null\noomScoreAdj: null\nportRange: \"\"\n\
         showHiddenMetricsForVersion: \"\"\nwinkernel:\n  enableDSR: false\n  \
         forwardHealthCheckVip: false\n  networkName: \"\"\n  rootHnsEndpointName: \"\"\n  sourceVip: \"\"\n",
    )
    .unwrap();
    let process = reading.process;
    assert_eq!(
        process.kubeconfig.as_deref(),
        Some("/var/lib/kube-proxy/kubeconfig.conf")
    );
    assert_eq!(
        process,
        Process {
            kubeconfig: process.kubeconfig.clone(),
            ..Process::default()
        }
    );
    assert!(reading.names_mode);
    assert_eq!(reading.config, Config::default());
}

#[test]
fn the_process_is_checked_as_kube_proxy_checks_it() {
    let found = wrong_fields(
        "bindAddress: here\nhealthzBindAddress: localhost:1\nmetricsBindAddress: '1.2.3.4:0'\n\
         oomScoreAdj: -1001\nconfigSyncPeriod: -1s\nclientConnection: {burst: -1}\nlogging: {format: xml, verbosity: -1}\n\
         conntrack: {maxPerCore: -1, min: -1, tcpCloseWaitTimeout: -1s}\nhostnameOverride: '  '\n",
    );
    assert_eq!(
        found,
        [
            "bindAddress",
            "clientConnection.burst",
            "configSyncPeriod",
            "conntrack.maxPerCore",
            "conntrack.min",
            "conntrack.tcpCloseWaitTimeout",
            "healthzBindAddress",
            "hostnameOverride",
            "logging.format",
            "logging.verbosity",
            "metricsBindAddress",
            "oomScoreAdj",
        ]
    );
}

#[test]
fn what_is_read_and_not_used_is_said() {
    let unused =
        read("conntrack: {max: 1, min: 1}\nconfigSyncPeriod: 1m\nclientConnection: {qps: 5}\n")
            .unwrap()
            .unused;
    assert_eq!(
        unused,
        [
            "conntrack.max".into(),
            "configSyncPeriod".into(),
            "clientConnection.qps".into()
        ]
    );
}

#[test]
fn connection_tracking_is_as_said_or_as_kube_proxy_has_it() {
    let of = |text: &str| read(text).unwrap().process.conntrack;
    let nothing = "conntrack: {maxPerCore: null, tcpEstablishedTimeout: null, udpTimeout: 0s}\n";
    assert_eq!(of(nothing), Conntrack::default());
    let text = of(
        "conntrack: {maxPerCore: 0, min: 7, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 1m30s,\n\
         tcpBeLiberal: true, udpTimeout: 999ms, udpStreamTimeout: 2.5s}\n",
    );
    assert_eq!(
        text,
        Conntrack {
            max_per_core: 0,
            min: 7,
            tcp_established_timeout: 0,
            tcp_close_wait_timeout: 90,
            tcp_be_liberal: true,
            udp_timeout: 0,
            udp_stream_timeout: 2,
        }
    );
    let found = wrong_fields("conntrack: {maxPerCore: 2147483648, udpTimeout: soon}\n");
    assert_eq!(found, ["conntrack.maxPerCore", "conntrack.udpTimeout"]);
}

#[test]
fn addresses_may_come_without_port() {
    for (text, expected) in [
        ("127.0.0.1", "127.0.0.1:7"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("::", "[::]:7"),
        ("[::1]", "[::1]:7"),
        ("[::1]:80", "[::1]:80"),
    ] {
        assert_eq!(
            bind_address(text, 7),
            Ok(expected.parse().unwrap()),
            "{text}"
        );
    }
    for text in [
        ":80",
        "localhost:80",
        "1.2.3.4:",
        "1.2.3.4:0",
        "1.2.3.4:99999",
    ] {
        assert!(bind_address(text, 7).is_err(), "{text}");
    }
}
