//! Addresses of servers as kube-proxy's flags set them: `--bind-address`, and `--healthz-port` and `--metrics-port`
//! beside the flags that set a whole address.

use std::net::IpAddr;

use serde_json::Value;

use super::flags::ServerFlags;
use crate::config::Process;

impl ServerFlags {
    /// `--healthz-bind-address`, with the port.
    pub(super) fn healthz(&self) -> Option<Value> {
        with_port(self.healthz_bind_address.as_deref(), self.healthz_port)
    }

    /// `--metrics-bind-address`, with the port.
    pub(super) fn metrics(&self) -> Option<Value> {
        with_port(self.metrics_bind_address.as_deref(), self.metrics_port)
    }

    /// Those of the two flags that were given.
    pub(super) fn ports(&self) -> impl Iterator<Item = &'static str> {
        let ports = [
            ("healthz-port", self.healthz_port),
            ("metrics-port", self.metrics_port),
        ];
        let given = ports.into_iter().filter(|(_, port)| port.is_some());
        given.map(|(flag, _)| flag)
    }

    /// A warning if `--bind-address` is more than a family. kube-proxy takes it for the node's own address.
    pub(super) fn own_address(&self) -> Option<String> {
        let address = self.bind_address.as_deref()?;
        let specific = address
            .parse::<IpAddr>()
            .is_ok_and(|ip| !ip.is_unspecified());
        specific.then(|| {
            format!(
                "the command line: not done here: --bind-address={address}: the node's addresses \
                 are those of its Node object; only the family is taken from it"
            )
        })
    }

    /// Removes servers with an empty address or port 0. Returns a warning for each port that has no effect.
    pub(super) fn settle(&self, process: &mut Process) -> Vec<String> {
        let servers = [
            (
                "healthz",
                &self.healthz_bind_address,
                self.healthz_port,
                &mut process.healthz_bind_address,
            ),
            (
                "metrics",
                &self.metrics_bind_address,
                self.metrics_port,
                &mut process.metrics_bind_address,
            ),
        ];
        let mut warnings = Vec::new();
        for (what, given, port, served) in servers {
            if given.as_deref() == Some("") || port == Some(0) {
                *served = None;
            }
            if let (Some(port), Some(address)) = (port, *served)
                && port != address.port()
            {
                warnings.push(format!(
                    "--{what}-port={port} without effect, as in kube-proxy, where the address has a port; \
                     served is {address}; set --{what}-bind-address={}:{port}",
                    bracketed(&address.ip().to_string())
                ));
            }
        }
        warnings
    }
}

/// As kube-proxy puts them together: a port counts where the address has none.
fn with_port(address: Option<&str>, port: Option<u16>) -> Option<Value> {
    let address = address?;
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    Some(match port {
        Some(port) if port > 0 && bare.parse::<IpAddr>().is_ok() => {
            format!("{}:{port}", bracketed(bare)).into()
        }
        _ => address.into(),
    })
}

fn bracketed(ip: &str) -> String {
    if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    #[test]
    fn a_port_is_for_an_address_that_has_none() {
        for (line, healthz, metrics) in [
            ("--healthz-port=0 --metrics-port=0", None, None),
            (
                "--healthz-port=1 --healthz-bind-address=127.0.0.1 --metrics-port=2 --metrics-bind-address=[::1]",
                Some("127.0.0.1:1"),
                Some("[::1]:2"),
            ),
            (
                "--healthz-port=10256 --metrics-port 10249",
                Some("0.0.0.0:10256"),
                Some("127.0.0.1:10249"),
            ),
            (
                "--healthz-port=0 --healthz-bind-address=127.0.0.1:1 --metrics-bind-address=127.0.0.1",
                None,
                Some("127.0.0.1:10249"),
            ),
        ] {
            let options = read(line).unwrap();
            let served = [
                options.process.healthz_bind_address,
                options.process.metrics_bind_address,
            ];
            let expected = [healthz, metrics].map(|text| text.map(|text| text.parse().unwrap()));
            assert_eq!(served, expected, "{line}");
            assert_eq!(options.warnings, [""; 0], "{line}");
        }
    }

    #[test]
    fn a_port_that_changes_nothing_is_warned_of() {
        let options = read("--healthz-port=1 --metrics-port=2 --metrics-bind-address=[::1]:3");
        let options = options.unwrap();
        let warnings = options.warnings.join("\n");
        assert!(
            warnings.contains("set --healthz-bind-address=0.0.0.0:1"),
            "{warnings}"
        );
        assert!(
            warnings.contains("set --metrics-bind-address=[::1]:2"),
            "{warnings}"
        );
        let address = options.process.healthz_bind_address.unwrap();
        assert_eq!(address.port(), 10256);
    }

    #[test]
    fn of_the_bind_address_only_the_family_is_followed() {
        let any = read("--bind-address=::").unwrap();
        assert_eq!(any.warnings, [""; 0]);
        let own = read("--bind-address=fd00::7").unwrap();
        assert_eq!(own.process, any.process);
        assert_eq!(
            any.process.metrics_bind_address,
            Some("[::1]:10249".parse().unwrap())
        );
        let warnings = own.warnings.join("\n");
        assert!(
            warnings.contains("not done here: --bind-address=fd00::7"),
            "{warnings}"
        );
        let error = read("--bind-address=here").unwrap_err().to_string();
        assert!(error.contains("--bind-address"), "{error}");
    }
}
