//! Flags of the node's connection tracking.

use clap::Args;
use serde_json::{Value, json};

use super::flags::go_bool;

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Connection tracking (ignored with --config)")]
pub(super) struct ConntrackFlags {
    /// How many connections the node may track for each processor, 1048576 in all at most, unless --conntrack-min is more;
    /// the node's limit is only ever raised. 0 leaves it as it is, even with --conntrack-min [default: 32768].
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    conntrack_max_per_core: Option<i64>,

    /// How many connections the node may track at least, however few processors it has [default: 131072].
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    conntrack_min: Option<i64>,

    /// How long an idle TCP connection is tracked: a duration, in whole seconds; 0 keeps the kernel's setting
    /// [default: 24h].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    conntrack_tcp_timeout_established: Option<String>,

    /// The same for one in CLOSE_WAIT: a duration, in whole seconds; 0 keeps the kernel's setting [default: 1h].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    conntrack_tcp_timeout_close_wait: Option<String>,

    /// Let TCP packets outside the window pass (nf_conntrack_tcp_be_liberal=1) [default: false].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, value_name = "BOOL")]
    conntrack_tcp_be_liberal: Option<bool>,

    /// How long UDP without a reply is tracked: a duration, in whole seconds [default: 0s: the kernel's setting].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    conntrack_udp_timeout: Option<String>,

    /// The same for UDP with a reply: a duration, in whole seconds [default: 0s: the kernel's setting].
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    conntrack_udp_timeout_stream: Option<String>,
}

impl ConntrackFlags {
    /// Each flag with the configuration file's field of the same meaning, and the value given, if any.
    pub(super) fn fields(&self) -> [(&'static str, &'static str, Option<Value>); 7] {
        let number = |number: Option<i64>| number.map(Value::from);
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        [
            (
                "conntrack-max-per-core",
                "conntrack.maxPerCore",
                number(self.conntrack_max_per_core),
            ),
            ("conntrack-min", "conntrack.min", number(self.conntrack_min)),
            (
                "conntrack-tcp-timeout-established",
                "conntrack.tcpEstablishedTimeout",
                text(&self.conntrack_tcp_timeout_established),
            ),
            (
                "conntrack-tcp-timeout-close-wait",
                "conntrack.tcpCloseWaitTimeout",
                text(&self.conntrack_tcp_timeout_close_wait),
            ),
            (
                "conntrack-tcp-be-liberal",
                "conntrack.tcpBeLiberal",
                self.conntrack_tcp_be_liberal.map(Value::Bool),
            ),
            (
                "conntrack-udp-timeout",
                "conntrack.udpTimeout",
                text(&self.conntrack_udp_timeout),
            ),
            (
                "conntrack-udp-timeout-stream",
                "conntrack.udpStreamTimeout",
                text(&self.conntrack_udp_timeout_stream),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use crate::config::Conntrack;

    const ALL: &str = "--conntrack-max-per-core=0 --conntrack-min 7 --conntrack-tcp-timeout-established=12h \
                       --conntrack-tcp-timeout-close-wait=1m30s --conntrack-tcp-be-liberal \
                       --conntrack-udp-timeout=500ms --conntrack-udp-timeout-stream=2.5s";

    #[test]
    fn every_flag_is_heeded() {
        assert_eq!(read("").unwrap().process.conntrack, Conntrack::default());
        let options = read(ALL).unwrap();
        assert_eq!(options.warnings, [""; 0]);
        assert_eq!(
            options.process.conntrack,
            Conntrack {
                max_per_core: 0,
                min: 7,
                tcp_established_timeout: 12 * 3600,
                tcp_close_wait_timeout: 90,
                tcp_be_liberal: true,
                udp_timeout: 0,
                udp_stream_timeout: 2,
            }
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let options = read(ALL).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("written.yaml");
        std::fs::write(&path, options.effective_yaml().unwrap()).unwrap();
        let again = read(&format!("--config={} {ALL}", path.display())).unwrap();
        assert_eq!(again.process, options.process);
        let warnings = again.warnings.concat();
        let expected =
            "ignored, because --config is given: --conntrack-max-per-core, --conntrack-min, ";
        assert!(warnings.starts_with(expected), "{warnings}");
    }

    #[test]
    fn what_cannot_be_is_said_by_the_flags_names() {
        let error = read(
            "--conntrack-max-per-core=-1 --conntrack-min=2147483648 --conntrack-udp-timeout=30 \
             --conntrack-tcp-timeout-established=-1s",
        );
        let error = error.unwrap_err().to_string();
        let flags: Vec<_> = error
            .lines()
            .map(|line| line.split(": ").nth(1).unwrap())
            .collect();
        assert_eq!(
            flags,
            [
                "--conntrack-max-per-core",
                "--conntrack-min",
                "--conntrack-tcp-timeout-established",
                "--conntrack-udp-timeout",
            ],
            "{error}"
        );
    }
}
