//! What the Service has besides, where a test asks for it.

use crate::proxy::{Endpoint, PORT, TARGET, Web};

impl Web {
    /// With these external IPs (`externalIPs: …`) or this status (`loadBalancer: …`) in the place of its own.
    pub(crate) fn instead(mut self, field: &str) -> Self {
        self.addresses = Some(field.to_owned());
        self
    }

    /// With ranges of ports.
    pub(crate) fn ranges(self, ports: &str) -> Self {
        self.annotated(&format!("kube-proxier/ports: '{ports}'"))
    }

    /// With these endpoints shutting down.
    pub(crate) fn terminating(mut self, endpoints: &[Endpoint]) -> Self {
        self.terminating = endpoints.to_vec();
        self
    }

    /// With TCP port 81, node port 30081, which is 8081 of the pods.
    pub(crate) fn bulk(self) -> Self {
        self.port("bulk", 81, 8081, "TCP", ", nodePort: 30081")
    }

    /// With port 80 of SCTP.
    pub(crate) fn sctp(self) -> Self {
        self.port("sctp", PORT, TARGET, "SCTP", ", nodePort: 30080")
    }

    /// With a further port.
    pub(crate) fn port(
        mut self,
        name: &str,
        port: u16,
        target: u16,
        protocol: &str,
        more: &str,
    ) -> Self {
        self.ports += &format!("  - {{name: {name}, port: {port}, protocol: {protocol}{more}}}\n");
        self.target_ports += &format!(", {{name: {name}, port: {target}, protocol: {protocol}}}");
        self
    }
}
