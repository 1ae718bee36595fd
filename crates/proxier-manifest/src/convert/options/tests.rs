use super::*;
use proxier::cluster::ServiceOption;

use crate::{Manifests, Severity, read_cluster};

/// A Service with these annotations, each a line of YAML.
fn read(annotations: &str) -> Manifests {
    let text = format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations: {{{annotations}}}\n\
         spec: {{clusterIP: 10.0.0.7, ports: [{{port: 80}}]}}\n"
    );
    read_cluster("test", text.as_bytes())
}

fn options(annotations: &str) -> ServiceOptions {
    let read = read(annotations);
    assert!(read.diagnostics.is_empty(), "{:?}", read.diagnostics);
    let service = read.cluster.services.into_values().next().unwrap();
    service.options.map(|options| *options).unwrap_or_default()
}

/// What is said of annotations that cannot be used; the Service must be used all the same.
fn refused(annotations: &str) -> (ServiceOptions, Vec<String>) {
    let read = read(annotations);
    let service = read.cluster.services.into_values().next().unwrap();
    let texts = read.diagnostics.iter().map(|diagnostic| {
        assert_eq!(diagnostic.severity, Severity::LeftOut);
        let text = diagnostic.to_string();
        let text =
            text.strip_prefix("test: document 1: Service default/web: metadata.annotations.");
        let text = text
            .unwrap()
            .strip_suffix("; the rest of the object is used");
        text.unwrap().to_owned()
    });
    let options = service.options.map(|options| *options);
    (options.unwrap_or_default(), texts.collect())
}

#[test]
fn no_annotation_costs_nothing() {
    for annotations in ["", "other: value", "kube-proxier/other: value"] {
        let read = read(annotations);
        assert!(read.diagnostics.is_empty());
        let service = read.cluster.services.into_values().next().unwrap();
        assert_eq!(service.options, None);
    }
}

#[test]
fn schedulers_are_read_by_both_names_and_ours_comes_first() {
    for known in SCHEDULERS {
        let options = options(&format!("kube-proxier/scheduler: {known}"));
        assert_eq!(
            (options.scheduler, options.scheduler_flags),
            (Some(known), None)
        );
    }
    let theirs = "kube-router.io/service.scheduler: lc";
    assert_eq!(options(theirs).scheduler, Some(Scheduler::LC));
    let both = format!("{theirs}, kube-proxier/scheduler: ' sh '");
    assert_eq!(options(&both).scheduler, Some(Scheduler::SH));
}

#[test]
fn flags_are_those_of_the_scheduler() {
    let flags = |scheduler: &str, key: &str, flags: &str| {
        let scheduler = format!("kube-proxier/scheduler: {scheduler}");
        options(&format!("{scheduler}, {key}: '{flags}'")).scheduler_flags
    };
    let key = "kube-proxier/scheduler-flags";
    let (first, second) = (ServiceFlags::SCHED_1, ServiceFlags::SCHED_2);
    assert_eq!(flags("sh", key, "sh-port"), Some(second));
    assert_eq!(
        flags("sh", key, "sh-fallback, sh-port"),
        Some(first | second)
    );
    assert_eq!(flags("mh", key, "mh-fallback"), Some(first));
    assert_eq!(flags("mh", key, "none"), Some(ServiceFlags::empty()));
    let theirs = "kube-router.io/service.schedflags";
    assert_eq!(flags("mh", theirs, "flag-1,flag-2"), Some(first | second));
}

#[test]
fn thresholds_are_numbers_and_the_lower_is_not_above_the_upper() {
    let read = |text: &str| {
        let options = options(text);
        let number = |threshold: Option<NonZeroU32>| threshold.map(NonZeroU32::get);
        (
            number(options.upper_threshold),
            number(options.lower_threshold),
        )
    };
    let upper = "kube-proxier/upper-threshold: '100'";
    assert_eq!(read(upper), (Some(100), None));
    let both = format!("{upper}, kube-proxier/lower-threshold: '100'");
    assert_eq!(read(&both), (Some(100), Some(100)));
    let above = format!("{upper}, kube-proxier/lower-threshold: '101'");
    let (options, texts) = refused(&above);
    let text =
        "kube-proxier/lower-threshold: 101 is above kube-proxier/upper-threshold, which is 100";
    assert_eq!(texts, [text]);
    assert_eq!(options.lower_threshold, None);
    assert!(options.upper_threshold.is_some());
}

#[test]
fn drains_have_a_limit() {
    let read = |text: &str| {
        let options = options(text);
        (options.drain, options.drain_udp)
    };
    for limit in [
        DrainLimit::Idle,
        DrainLimit::GracePeriod,
        DrainLimit::Seconds(0),
        DrainLimit::Seconds(90),
    ] {
        let text = format!("kube-proxier/drain: {limit}");
        assert_eq!(read(&text), (Some(limit), false));
    }
    assert_eq!(read("kube-proxier/drain-udp: 'true'"), (None, true));
    assert_eq!(read("kube-proxier/drain-udp: 'false'"), (None, false));
}

#[test]
fn forwarding_is_read_by_both_names_and_ours_comes_first() {
    let gue = Forwarding::Gue(NonZeroU16::new(6080).unwrap());
    for forwarding in [
        Forwarding::Masquerade,
        Forwarding::Direct,
        Forwarding::Ipip,
        Forwarding::Gre,
        gue,
    ] {
        let text = format!("kube-proxier/forwarding: '{forwarding}'");
        assert_eq!(options(&text).forwarding, Some(forwarding));
    }
    let theirs = "kube-router.io/service.dsr: tunnel";
    assert_eq!(options(theirs).forwarding, Some(Forwarding::Ipip));
    let both = format!("{theirs}, kube-proxier/forwarding: masquerade");
    assert_eq!(options(&both).forwarding, Some(Forwarding::Masquerade));
    let known = "masquerade, direct, ipip, gre, or gue with a UDP port such as gue:6080";
    for bad in ["", "gue", "gue:", "gue:0", "gue:65536", "gue:-1", "IPIP"] {
        let (options, texts) = refused(&format!("kube-proxier/forwarding: '{bad}'"));
        assert_eq!(
            texts,
            [format!("kube-proxier/forwarding: {bad:?} is not {known}")]
        );
        assert_eq!(options, ServiceOptions::default());
    }
}

#[test]
fn affinity_is_for_each_port_or_for_all() {
    for scope in [AffinityScope::EachPort, AffinityScope::AllPorts] {
        let text = format!("kube-proxier/affinity: ' {scope}'");
        assert_eq!(options(&text).affinity, Some(scope));
    }
    for bad in ["", "all", "All-ports"] {
        let (options, texts) = refused(&format!("kube-proxier/affinity: '{bad}'"));
        let text = format!("kube-proxier/affinity: {bad:?} is not each-port or all-ports");
        assert_eq!(texts, [text]);
        assert_eq!(options, ServiceOptions::default());
    }
}

#[test]
fn masquerading_is_default_never_or_always() {
    for asked in [
        Masquerading::Default,
        Masquerading::Never,
        Masquerading::Always,
    ] {
        let text = format!("kube-proxier/masquerade: {asked}");
        assert_eq!(options(&text).masquerade, Some(asked));
    }
    for bad in ["", "false", "Never"] {
        let (options, texts) = refused(&format!("kube-proxier/masquerade: '{bad}'"));
        let text = format!("kube-proxier/masquerade: {bad:?} is not default, never or always");
        assert_eq!(texts, [text]);
        assert_eq!(options, ServiceOptions::default());
    }
}

#[test]
fn the_address_of_masquerading_is_one_of_the_nodes() {
    let text = "kube-proxier/masquerade-address: ' 10.8.0.0/16,192.168.30.11, fd00:8::/64'";
    let read = options(text);
    let value = read.value(ServiceOption::MasqueradeAddress).unwrap();
    assert_eq!(value, "10.8.0.0/16, 192.168.30.11, fd00:8::/64");
    let (options, texts) = refused("kube-proxier/masquerade-address: '10.8.0.0/16, 10.8.0.1/16'");
    let reason = "\"10.8.0.1/16\" has bits beyond its prefix; write 10.8.0.0/16 or 10.8.0.1";
    assert_eq!(
        texts,
        [format!("kube-proxier/masquerade-address: {reason}")]
    );
    assert_eq!(options, ServiceOptions::default());
}

#[test]
fn a_slice_has_a_weight() {
    let read = |weight: &str| {
        let text = format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nmetadata:\n  name: web-1\n  \
             labels: {{kubernetes.io/service-name: web}}\n  annotations: {{kube-proxier/weight: {weight}}}\n"
        );
        let read = read_cluster("test", text.as_bytes());
        let texts: Vec<_> = read.diagnostics.iter().map(ToString::to_string).collect();
        let slice = read.cluster.slices.into_values().next().unwrap();
        (slice.weight, texts)
    };
    for weight in [0, 7, u16::MAX] {
        assert_eq!(read(&format!("'{weight}'")), (Some(weight), Vec::new()));
    }
    for (weight, reason) in [
        ("'65536'", "\"65536\" is not a weight from 0 to 65535"),
        ("'-1'", "\"-1\" is not a weight from 0 to 65535"),
        ("3", "3 is not text; quote it"),
    ] {
        let text = format!(
            "test: document 1: EndpointSlice default/web-1: metadata.annotations.kube-proxier/weight: {reason}; the rest of the \
             object is used"
        );
        assert_eq!(read(weight), (None, vec![text]));
    }
}

#[test]
fn what_cannot_be_used_is_named_and_the_service_goes_on_without_it() {
    let known = "rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, fo, ovf, mh, twos";
    for (annotations, text) in [
        (
            "kube-proxier/scheduler: round-robin",
            format!("kube-proxier/scheduler: \"round-robin\" is not a scheduler: those are {known}"),
        ),
        (
            "kube-router.io/service.scheduler: ''",
            format!("kube-router.io/service.scheduler: \"\" is not a scheduler: those are {known}"),
        ),
        (
            "kube-proxier/upper-threshold: '0'",
            "kube-proxier/upper-threshold: \"0\" is not a number of connections from 1 to 4294967295"
                .to_owned(),
        ),
        (
            "kube-proxier/lower-threshold: '9'",
            "kube-proxier/lower-threshold: has no effect without kube-proxier/upper-threshold"
                .to_owned(),
        ),
        (
            "kube-proxier/drain: forever",
            "kube-proxier/drain: \"forever\" is not until-idle, grace-period, or a number of seconds such as 30s"
                .to_owned(),
        ),
        (
            "kube-proxier/drain-udp: 'yes'",
            "kube-proxier/drain-udp: \"yes\" is not true or false".to_owned(),
        ),
        (
            "kube-proxier/scheduler: 7",
            "kube-proxier/scheduler: 7 is not text; quote it".to_owned(),
        ),
        (
            "kube-proxier/scheduler-flags: sh-port",
            "kube-proxier/scheduler-flags: is for a scheduler that kube-proxier/scheduler names, and there is none"
                .to_owned(),
        ),
    ] {
        let (options, texts) = refused(annotations);
        assert_eq!(texts, [text]);
        assert_eq!(options, ServiceOptions::default());
    }
    // What can be used is.
    let flags = "kube-proxier/scheduler: sh, kube-proxier/scheduler-flags: 'sh-port,mh-port'";
    let (options, texts) = refused(flags);
    let text = "kube-proxier/scheduler-flags: \"mh-port\" is not a flag of the scheduler sh";
    assert_eq!(texts, [text]);
    assert_eq!(
        (options.scheduler, options.scheduler_flags),
        (Some(Scheduler::SH), None)
    );
    let third = "kube-proxier/scheduler: rr, kube-proxier/scheduler-flags: flag-3";
    assert_eq!(refused(third).0.scheduler_flags, None);
    let (options, texts) =
        refused("kube-proxier/scheduler: x, kube-router.io/service.scheduler: sh");
    assert_eq!((options.scheduler, texts.len()), (Some(Scheduler::SH), 1));
}
