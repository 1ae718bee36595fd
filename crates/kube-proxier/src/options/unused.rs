//! Flags of kube-proxy that have no effect here. They are accepted, so that its command lines work, and logged.
//!
//! All that kube-proxy has had on Linux from v1.20 to v1.36, but for those of [`Flags`](super::Flags): its
//! cmd/kube-proxy/app/options.go, what component-base and klog add to it, and what its reference pages for v1.21 and v1.23
//! (kubernetes/website, content/en/docs/reference/command-line-tools-reference/kube-proxy.md) list besides.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use self::Takes::{Duration, Fraction, Number, Switch, Text};
use super::flags::go_bool;

/// A flag of kube-proxy's.
#[derive(Debug)]
struct Row {
    name: &'static str,
    takes: Takes,
    /// Whether a field of the configuration file has the same meaning. The file then wins.
    in_file: bool,
    /// The values with which kube-proxy would do something in ipvs mode, and what to use here instead.
    missed: Option<(When, &'static str)>,
}

/// What a flag wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Switch,
    Number,
    Fraction,
    Duration,
    Text,
}

/// With what value a flag asks for something.
#[derive(Clone, Copy, Debug)]
enum When {
    /// With one that is not zero, false or empty.
    Set,
    /// With false.
    Off,
}

const LOGS: &str = "all is logged to stderr";

const TABLE: &[Row] = &[
    // Of other modes.
    field("proxy-port-range", Text),
    field("udp-timeout", Duration),
    // Of the process.
    flag("resource-container", Text),
    flag("cleanup-ipvs", Switch).missed(When::Off, "--cleanup removes virtual servers, too"),
    field("config-sync-period", Duration),
    field("kube-api-burst", Number),
    field("kube-api-content-type", Text),
    field("kube-api-qps", Fraction),
    field("profiling", Switch).missed(When::Set, "/debug/pprof is not served"),
    field("show-hidden-metrics-for-version", Text),
    // Of its log.
    flag("add-dir-header", Switch),
    flag("alsologtostderr", Switch),
    flag("log-backtrace-at", Text),
    flag("log-dir", Text).missed(When::Set, LOGS),
    flag("log-file", Text).missed(When::Set, LOGS),
    flag("log-file-max-size", Number),
    flag("log-flush-frequency", Duration),
    flag("log-json-info-buffer-size", Text),
    flag("log-json-split-stream", Switch).missed(When::Set, LOGS),
    flag("log-text-info-buffer-size", Text),
    flag("log-text-split-stream", Switch).missed(When::Set, LOGS),
    flag("logtostderr", Switch).missed(When::Off, LOGS),
    flag("one-output", Switch),
    flag("skip-headers", Switch),
    flag("skip-log-headers", Switch),
    flag("stderrthreshold", Text),
    flag("vmodule", Text),
    // Of libraries that kube-proxy was linked with once, and never used by it: cAdvisor, ...
    flag("allow-dynamic-housekeeping", Switch),
    flag("application-metrics-count-limit", Number),
    flag("boot-id-file", Text),
    flag("container-hints", Text),
    flag("containerd", Text),
    flag("containerd-env-metadata-whitelist", Text),
    flag("containerd-namespace", Text),
    flag("disable-root-cgroup-stats", Switch),
    flag("docker", Text),
    flag("docker-env-metadata-whitelist", Text),
    flag("docker-only", Switch),
    flag("docker-root", Text),
    flag("docker-tls", Switch),
    flag("docker-tls-ca", Text),
    flag("docker-tls-cert", Text),
    flag("docker-tls-key", Text),
    flag("enable-load-reader", Switch),
    flag("event-storage-age-limit", Text),
    flag("event-storage-event-limit", Text),
    flag("global-housekeeping-interval", Duration),
    flag("housekeeping-interval", Duration),
    flag("log-cadvisor-usage", Switch),
    flag("machine-id-file", Text),
    flag("max-housekeeping-interval", Duration),
    flag("referenced-reset-interval", Number),
    flag("storage-driver-buffer-duration", Duration),
    flag("storage-driver-db", Text),
    flag("storage-driver-host", Text),
    flag("storage-driver-password", Text),
    flag("storage-driver-secure", Switch),
    flag("storage-driver-table", Text),
    flag("storage-driver-user", Text),
    flag("update-machine-info-interval", Duration),
    // ... cloud providers, and the API server.
    flag("azure-container-registry-config", Text),
    flag("cloud-provider-gce-l7lb-src-cidrs", Text),
    flag("cloud-provider-gce-lb-src-cidrs", Text),
    flag("default-not-ready-toleration-seconds", Number),
    flag("default-unreachable-toleration-seconds", Number),
];

const fn field(name: &'static str, takes: Takes) -> Row {
    Row {
        in_file: true,
        ..flag(name, takes)
    }
}

const fn flag(name: &'static str, takes: Takes) -> Row {
    Row {
        name,
        takes,
        in_file: false,
        missed: None,
    }
}

impl Row {
    const fn missed(self, when: When, instead: &'static str) -> Self {
        Self {
            missed: Some((when, instead)),
            ..self
        }
    }

    /// What there is instead of what the flag asks for, if it asks for anything.
    fn instead(&self, value: &str) -> Option<&'static str> {
        let (when, instead) = self.missed?;
        let asks = match (when, self.takes) {
            (When::Off, _) => go_bool(value) == Ok(false),
            (When::Set, Switch) => go_bool(value) == Ok(true),
            (When::Set, Text) => !value.is_empty(),
            (When::Set, Number | Fraction | Duration) => {
                value.contains(|c| ('1'..='9').contains(&c))
            }
        };
        asks.then_some(instead)
    }
}

impl Takes {
    /// Whether a value is of the kind, which is all that is asked of it.
    fn check(self, value: &str) -> Result<(), String> {
        let (good, wanted) = match self {
            Switch => (go_bool(value).is_ok(), "true or false"),
            Number => (value.parse::<i64>().is_ok(), "a whole number"),
            Fraction => (value.parse::<f32>().is_ok(), "a number"),
            Duration => (is_duration(value), "a duration such as 30s"),
            Text => (true, "a text"),
        };
        good.then_some(())
            .ok_or_else(|| format!("{wanted} is wanted"))
    }
}

/// Whether Go's `time.ParseDuration` would take it.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let (number, _) = rest.split_at(rest.len() - unit.len());
        rest = unit.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.');
        let (unit, _) = unit.split_at(unit.len() - rest.len());
        let known = matches!(unit, "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h");
        if !known || number.parse::<f64>().is_err() {
            return false;
        }
        parts += 1;
    }
    parts > 0
}

/// Those of the flags that were given, each with its last value.
#[derive(Clone, Debug, Default)]
pub(super) struct UnusedFlags(Vec<(&'static Row, String)>);

impl UnusedFlags {
    /// Those that a configuration file overrules, as kube-proxy has it.
    pub(super) fn in_file(&self) -> impl Iterator<Item = &'static str> {
        let overruled = self.0.iter().filter(|(row, _)| row.in_file);
        overruled.map(|(row, _)| row.name)
    }

    /// What to log about them: warnings for what was asked for and is not done, and one note that lists the others.
    /// With a configuration file, flags that it overrules are left out.
    pub(super) fn notices(&self, with_file: bool) -> (Vec<String>, Option<String>) {
        let mut missed: Vec<(&str, Vec<String>)> = Vec::new();
        let mut unused = Vec::new();
        for (row, value) in self.0.iter().filter(|(row, _)| !(with_file && row.in_file)) {
            let name = format!("--{}", row.name);
            let Some(instead) = row.instead(value) else {
                unused.push(name);
                continue;
            };
            let name = format!("{name}={value}");
            match missed.iter_mut().find(|(known, _)| *known == instead) {
                Some((_, names)) => names.push(name),
                None => missed.push((instead, vec![name])),
            }
        }
        let warnings = missed.into_iter().map(|(instead, names)| {
            let names = names.join(", ");
            format!("the command line: not done here: {names}: {instead}")
        });
        let note = format!(
            "the command line: without effect in this proxy: {}",
            unused.join(", ")
        );
        (warnings.collect(), (!unused.is_empty()).then_some(note))
    }
}

impl FromArgMatches for UnusedFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |row: &'static Row| {
            let value = matches.get_one::<String>(row.name)?;
            Some((row, value.clone()))
        };
        Ok(Self(TABLE.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for UnusedFlags {
    fn augment_args(command: Command) -> Command {
        command.args(TABLE.iter().map(|row| {
            let takes = row.takes;
            let arg = Arg::new(row.name)
                .long(row.name)
                .hide(true)
                .action(ArgAction::Set)
                .value_parser(move |value: &str| takes.check(value).map(|()| value.to_owned()));
            match takes {
                Switch => arg
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true"),
                _ => arg.allow_hyphen_values(true),
            }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> UnusedFlags {
        let command = UnusedFlags::augment_args(Command::new("x")).args_override_self(true);
        let words = ["x"].into_iter().chain(line.split_whitespace());
        UnusedFlags::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
    }

    fn refused(line: &str) -> String {
        let command = UnusedFlags::augment_args(Command::new("x"));
        let error = command.try_get_matches_from(["x", line]).unwrap_err();
        error.to_string()
    }

    #[test]
    fn what_asks_for_nothing_is_noted_only() {
        let zeros = "--config-sync-period 0s --profiling=false --logtostderr --log_dir= --cleanup-ipvs \
                     --kube-api-qps=50.5";
        let (warnings, note) = given(&zeros.replace('_', "-")).notices(false);
        assert_eq!(warnings, [""; 0]);
        assert_eq!(
            note.unwrap(),
            "the command line: without effect in this proxy: --cleanup-ipvs, --config-sync-period, --kube-api-qps, \
             --profiling, --log-dir, --logtostderr"
        );
        assert_eq!(given("").notices(false), (Vec::new(), None));
    }

    #[test]
    fn what_is_missed_is_warned_of_by_what_there_is_instead() {
        let line =
            "--profiling --logtostderr=false --log-file /log --cleanup-ipvs=F --udp-timeout=30s";
        let (warnings, note) = given(line).notices(false);
        assert_eq!(
            warnings,
            [
                "the command line: not done here: --cleanup-ipvs=F: --cleanup removes virtual servers, too",
                "the command line: not done here: --profiling=true: /debug/pprof is not served",
                "the command line: not done here: --log-file=/log, --logtostderr=false: all is logged to stderr",
            ]
        );
        assert!(note.unwrap().ends_with(": --udp-timeout"));
        // The last one counts.
        assert_eq!(given("--profiling --profiling=0").notices(false).0, [""; 0]);
    }

    /// With underscores, as cAdvisor has them.
    #[test]
    fn what_was_only_ever_there_by_accident_is_noted() {
        let line = "--docker_only --storage_driver_password=secret --housekeeping_interval 10s \
                    --application_metrics_count_limit=100 --cloud-provider-gce-lb-src-cidrs=10.0.0.0/8,10.9.0.0/16";
        let options = super::super::tests::read(line).unwrap();
        assert_eq!(options.warnings, [""; 0]);
        assert_eq!(
            options.notes.last().unwrap(),
            "the command line: without effect in this proxy: --application-metrics-count-limit, --docker-only, \
             --housekeeping-interval, --storage-driver-password, --cloud-provider-gce-lb-src-cidrs"
        );
    }

    #[test]
    fn a_file_overrules_what_it_can_say() {
        let given = given("--profiling --kube-api-burst=7 --log-dir=/log --skip-headers");
        let names: Vec<_> = given.in_file().collect();
        assert_eq!(names, ["kube-api-burst", "profiling"]);
        let (warnings, note) = given.notices(true);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("--log-dir=/log"), "{warnings:?}");
        assert!(note.unwrap().ends_with(": --skip-headers"));
    }

    #[test]
    fn values_are_of_their_kind() {
        for line in [
            "--kube-api-burst=many",
            "--udp-timeout=30",
            "--housekeeping-interval=often",
            "--docker-only=always",
            "--kube-api-qps=fast",
            "--profiling=perhaps",
        ] {
            let text = refused(line);
            let flag = line.split('=').next().unwrap();
            assert!(text.contains(flag) && text.contains("is wanted"), "{text}");
        }
        assert!(refused("--udp-timeout").contains("--udp-timeout"));
        assert!(refused("--udp-timeouts=1s").contains("--udp-timeouts"));
        for text in ["0", "-1s", "1.5h", "1h0m0s", "250ms", "1m.5s", "3µs"] {
            assert!(is_duration(text), "{text}");
        }
        for text in ["", "-", "30", "s", "1d", "1h30", "1 h", "1..5s", "h1"] {
            assert!(!is_duration(text), "{text}");
        }
    }

    /// Each as somebody's DaemonSet may have it.
    #[test]
    fn every_flag_is_taken() {
        for row in TABLE {
            let value = match row.takes {
                Switch => "=true",
                Number => "=-1",
                Fraction => "=1e2",
                Duration => "=15m0s",
                Text => "=a=b,c",
            };
            let given = given(&format!("--{}{value}", row.name));
            assert_eq!(given.0.len(), 1, "{}", row.name);
            let (warnings, note) = given.notices(false);
            let text = [warnings, note.into_iter().collect()].concat();
            assert!(text.concat().contains(row.name), "{text:?}");
        }
    }
}
