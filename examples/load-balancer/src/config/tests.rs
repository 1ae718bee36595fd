use std::num::NonZeroU16;

use super::*;

const WHOLE: &str = r#"
link = "lb0"
metrics = "127.0.0.1:9100"
drain = "30s"

[[server]]
address = "192.0.2.10:80"
protocol = "tcp"
scheduler = "wlc"
forwarding = "masq"
check = { type = "http", path = "/healthz", port = 9000, interval = "500ms", timeout = "1m 30s", rise = 1, fall = 5 }

[[server.backend]]
address = "10.1.0.1:8080"
weight = 1

[[server.backend]]
address = "10.1.0.2:8081"
weight = 65535

[[server]]
address = "[2001:db8::10]:53"
protocol = "udp"
scheduler = "rr"
forwarding = "route"
check = { type = "none" }
backend = [{ address = "[2001:db8::1]:53", weight = 0 }]
"#;

#[test]
fn a_whole_file_is_read() {
    let config = Config::parse(WHOLE).unwrap();
    assert_eq!(config.process.link.as_str(), "lb0");
    assert_eq!(config.process.metrics, Some(([127, 0, 0, 1], 9100).into()));
    assert_eq!(config.drain, Duration::from_secs(30));
    let servers: Vec<_> = config.servers.iter().collect();
    let [web, dns] = [
        "TCP 192.0.2.10:80".parse().unwrap(),
        "UDP [2001:db8::10]:53".parse().unwrap(),
    ];
    assert_eq!(
        servers,
        [
            (&web, &VirtualServerConfig::new(Scheduler::WLC)),
            (&dns, &VirtualServerConfig::new(Scheduler::RR)),
        ]
    );
    let backends: Vec<_> = config.backends.into_iter().collect();
    let ids = backends.iter().map(|((server, id), backend)| {
        let (target, config) = (&backend.target, backend.config);
        (*server, id.to_string(), config, target.address.to_string())
    });
    let address = |text: &str| text.to_owned();
    assert_eq!(
        ids.collect::<Vec<_>>(),
        [
            (
                web,
                address("10.1.0.1:8080"),
                DestinationConfig::masquerade(1),
                address("10.1.0.1:9000")
            ),
            (
                web,
                address("10.1.0.2:8081"),
                DestinationConfig::masquerade(65535),
                address("10.1.0.2:9000")
            ),
            (
                dns,
                address("[2001:db8::1]:53"),
                DestinationConfig::direct_route(0),
                address("[2001:db8::1]:53")
            ),
        ]
    );
    let check = Check {
        kind: Kind::Http,
        path: "/healthz".to_owned(),
        port: NonZeroU16::new(9000),
        interval: Duration::from_millis(500),
        timeout: Duration::from_secs(90),
        rise: 1.try_into().unwrap(),
        fall: 5.try_into().unwrap(),
    };
    assert_eq!(backends[0].1.target.check, check);
    assert_eq!(backends[2].1.target.check.kind, Kind::None);
}

#[test]
fn what_is_left_out_has_a_default() {
    let text = WHOLE.replace("metrics = \"127.0.0.1:9100\"\n", "");
    let start = text.find("check").unwrap();
    let end = start + text[start..].find('\n').unwrap();
    let config = Config::parse(&(text[..start].to_owned() + &text[end..])).unwrap();
    assert_eq!(config.process.metrics, None);
    let targets: Vec<_> = config.targets().into_iter().collect();
    assert_eq!(targets.len(), 2, "what is not checked is no target");
    assert_eq!(targets[0].check, Check::default());
    assert_eq!(targets[0].address.port(), 8080);
    let empty = Config::parse("link = \"lb0\"\ndrain = \"1s\"").unwrap();
    assert!(empty.servers.is_empty());
}

/// The line and message that a file gets with `to` in place of `from`.
#[track_caller]
fn refused(from: &str, to: &str) -> (usize, String) {
    assert!(WHOLE.contains(from), "{from}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lb.toml");
    std::fs::write(&file, WHOLE.replacen(from, to, 1)).unwrap();
    match Config::read(&file) {
        Err(Error::Invalid {
            file: named,
            line,
            message,
        }) => {
            assert_eq!(named, file.display().to_string());
            (line, message)
        }
        other => panic!("{to}: {other:?}"),
    }
}

#[test]
fn a_fault_is_reported_with_its_line() {
    let http = "type = \"http\"";
    for (from, to, line, expected) in [
        ("link = \"lb0\"", "link = \"\"", 2, "name"),
        ("link = \"lb0\"", "", 1, "missing field `link`"),
        (
            "drain = \"30s\"",
            "drain = \"0s\"",
            4,
            "\"0s\" is not a duration",
        ),
        (
            "drain = \"30s\"",
            "drain = \"soon\"",
            4,
            "\"soon\" is not a duration",
        ),
        ("drain = \"30s\"", "drain = 30", 4, "expected a string"),
        ("drain =", "drian =", 4, "unknown field `drian`"),
        ("192.0.2.10:80", "192.0.2.10", 7, "socket address"),
        (
            "192.0.2.10:80",
            "192.0.2.10:0",
            6,
            "server TCP 192.0.2.10:0: address: needs a port",
        ),
        ("\"tcp\"", "\"tpc\"", 8, "tpc"),
        ("\"tcp\"", "\"icmp\"", 6, "protocol: is tcp, udp or sctp"),
        ("\"wlc\"", "\"sixteen-bytes-xy\"", 9, "sixteen-bytes-xy"),
        ("\"masq\"", "\"nat\"", 10, "unknown variant `nat`"),
        (
            "\"masq\"",
            "\"bypass\"",
            6,
            "forwarding: is masq, route or tunnel",
        ),
        (http, "type = \"icmp\"", 11, "unknown variant `icmp`"),
        ("rise = 1", "rise = 0", 11, "nonzero"),
        ("port = 9000", "port = 65536", 11, "65536"),
        ("500ms", "0ms", 11, "\"0ms\" is not a duration"),
        ("/healthz", "healthz", 6, "check.path: is `/` and more"),
        ("/healthz", "/a b", 6, "check.path: is `/` and more"),
        ("weight = 1\n", "weight = -1\n", 15, "-1"),
        ("weight = 1\n", "", 13, "missing field `weight`"),
        ("65535", "65536", 19, "65536"),
        (
            "10.1.0.2:8081",
            "10.1.0.1:8080",
            17,
            "server TCP 192.0.2.10:80, backend 10.1.0.1:8080: address: another backend",
        ),
        ("10.1.0.2:8081", "10.1.0.2:0", 17, "address: needs a port"),
        (
            "10.1.0.2:8081",
            "[::1]:8081",
            17,
            "address: only a tunnel changes the family",
        ),
        (
            "[2001:db8::1]:53",
            "[2001:db8::1]:54",
            27,
            "address: only masq changes the port",
        ),
        (
            "[2001:db8::10]:53\"\nprotocol = \"udp\"",
            "192.0.2.10:80\"\nprotocol = \"tcp\"",
            21,
            "address: another server has it",
        ),
        (
            "check = { type = \"none\" }",
            "",
            21,
            "check: is made by TCP",
        ),
        ("[[server]]", "[[server]", 6, "]"),
    ] {
        let (at, message) = refused(from, to);
        assert!(message.contains(expected), "{to}: {message}");
        assert_eq!(at, line, "{to}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_server_of_another_protocol_may_have_the_address() {
    let text = WHOLE.replace("[2001:db8::10]:53", "192.0.2.10:80");
    let text = text.replace("[2001:db8::1]:53", "10.1.0.1:80");
    assert_eq!(Config::parse(&text).unwrap().servers.len(), 2);
}

#[test]
fn a_tunnel_may_change_the_family() {
    let text = WHOLE.replace("\"route\"", "\"tunnel\"");
    let text = text.replace("[2001:db8::1]:53", "10.1.0.1:53");
    assert_eq!(Config::parse(&text).unwrap().backends.len(), 3);
}

#[test]
fn what_cannot_be_read_names_the_file() {
    let error = Config::read(Path::new("/none/lb.toml")).unwrap_err();
    assert!(
        error.to_string().starts_with("/none/lb.toml: No such file"),
        "{error}"
    );
}

#[test]
fn a_file_is_read_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lb.toml");
    let length = usize::try_from(MAX_BYTES).unwrap();
    std::fs::write(&file, "#".repeat(length + 1)).unwrap();
    let error = Config::read(&file).unwrap_err();
    assert!(
        error.to_string().ends_with("lb.toml: is larger than 1 MiB"),
        "{error}"
    );
}

/// lb.toml is what README.md shows, and can be used.
#[test]
fn the_example_is_that_of_the_readme() {
    let example = include_str!("../../lb.toml");
    assert!(include_str!("../../README.md").contains(&format!("```toml\n{example}```")));
    assert_eq!(Config::parse(example).unwrap().backends.len(), 2);
}
