use super::*;

#[test]
fn what_happened_is_shown_by_kube_proxys_names() {
    let metrics = Metrics::new().unwrap();
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    metrics.endpoint_change();
    metrics.service_change();
    metrics.queued(at(10));
    let before = metrics.text();
    assert!(
        before.contains("\nkubeproxy_sync_proxy_rules_endpoint_changes_pending 1\n"),
        "{before}"
    );
    metrics.sync_took(Duration::from_millis(3), true);
    metrics.sync_took(Duration::from_millis(5), false);
    metrics.synced(at(13));
    metrics.programmed(false, Duration::from_millis(300));
    metrics.restore_failed(true, true);
    metrics.restore_failed(false, false);
    metrics.rules("nat", false, 30, 4);
    metrics.no_local_endpoints(false, NoLocalEndpoints::new(0, 4));
    metrics.no_local_endpoints(true, NoLocalEndpoints::new(2, 0));
    metrics.operations("ipvs", OperationResult::Failed, 3);
    metrics.holdings(Holdings {
        virtual_servers: 1,
        destinations: 2,
        draining_servers: 3,
        draining_destinations: 4,
        conflicts: 5,
        pending_failures: 6,
    });
    let text = metrics.text();
    for line in [
        "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.004\"} 1",
        "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"16.384\"} 2",
        "kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"} 1",
        "kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 1",
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 13",
        "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family=\"IPv4\"} 10",
        "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.25\"} 0",
        "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.5\"} 1",
        "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"300\"} 1",
        "kubeproxy_sync_proxy_rules_endpoint_changes_pending 0",
        "kubeproxy_sync_proxy_rules_endpoint_changes_total 1",
        "kubeproxy_sync_proxy_rules_service_changes_total 1",
        "kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family=\"IPv6\"} 1",
        "kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family=\"IPv4\"} 1",
        "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total{ip_family=\"IPv6\"} 1",
        "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total{ip_family=\"IPv4\"} 0",
        "kubeproxy_sync_proxy_rules_iptables_total{ip_family=\"IPv4\",table=\"nat\"} 30",
        "kubeproxy_sync_proxy_rules_iptables_last{ip_family=\"IPv4\",table=\"nat\"} 4",
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"external\"} 4",
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv6\",traffic_policy=\"external\"} 0",
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv6\",traffic_policy=\"internal\"} 2",
        "kube_proxier_operations_total{kind=\"ipvs\",result=\"failed\"} 3",
        "kube_proxier_virtual_servers 1",
        "kube_proxier_destinations 2",
        "kube_proxier_draining_virtual_servers 3",
        "kube_proxier_draining_destinations 4",
        "kube_proxier_refused_objects 0",
        "kube_proxier_conflicts 5",
        "kube_proxier_pending_failures 6",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
    }
}
