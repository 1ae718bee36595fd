//! Clusters that tests write down in short.

use proxier::cluster::Cluster;

/// Services `a`, `b` and `c` at 10.0.0.0 to 10.0.0.2 with node ports 30080 to 30082, each with the endpoints at 10.244.1.0/24
/// that end in these numbers.
pub fn with_node_ports(endpoints: [&[u8]; 3]) -> Cluster {
    let mut yaml = String::new();
    for (n, (name, endpoints)) in ["a", "b", "c"].into_iter().zip(endpoints).enumerate() {
        let addresses: String = endpoints
            .iter()
            .map(|last| format!("{{addresses: [10.244.1.{last}]}}, "))
            .collect();
        yaml += &format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
             spec: {{type: NodePort, clusterIP: 10.0.0.{n}, ports: [{{port: 80, nodePort: 3008{n}}}]}}\n\
             ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
             addressType: IPv4\nendpoints: [{addresses}]\nports: [{{port: 8080}}]\n"
        );
    }
    let reading = proxier_manifest::read_cluster("test", yaml.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}
