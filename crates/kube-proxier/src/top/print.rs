//! A sample as lines and as JSON.

use std::fmt::Write as _;

use anstyle::Style;
use ipvs_netlink::Counters;
use proxier_manifest::printable_within;
use serde_json::{Value, json};

use super::sample::{Owner, Row, Sample};

/// The numbers of a line, and how wide each is.
const HEADS: [&str; 7] = [
    "CONN/S",
    "PKT/S IN",
    "PKT/S OUT",
    "BYTE/S IN",
    "BYTE/S OUT",
    "ACTIVE",
    "INACTIVE",
];
const WIDTHS: [usize; 7] = [8, 10, 10, 11, 11, 8, 9];
/// The least and the most that a name takes.
const NAME: (usize, usize) = (20, 90);

/// The lines of a sample, at most so wide, with the heads of the columns in bold.
pub(super) fn lines(sample: &Sample, width: usize) -> Vec<String> {
    let numbers: usize = WIDTHS.iter().sum();
    let name = width.saturating_sub(numbers).clamp(NAME.0, NAME.1);
    let bold = Style::new().bold();
    let mut lines = Vec::new();
    let mut table = |title: &str, rows: &[Row]| {
        let head = line(title, name, &HEADS.map(ToOwned::to_owned), width);
        lines.push(format!("{bold}{head}{bold:#}"));
        lines.extend(rows.iter().map(|row| {
            let numbers = numbers_of(row).map(short);
            line(&row_name(row), name, &numbers, width)
        }));
    };
    table("SERVICE", &sample.services);
    table("ENDPOINT", &sample.endpoints);
    lines
}

/// Of when and what a sample is.
pub(super) struct Head<'a> {
    pub(super) time: String,
    pub(super) node: &'a str,
    /// Whether the API server has listed the cluster: else names are missing.
    pub(super) named: bool,
}

/// A sample as an object of JSON, rates per second.
pub(super) fn json(head: &Head<'_>, sample: &Sample) -> Value {
    let all = |rows: &[Row]| rows.iter().map(object).collect::<Vec<_>>();
    json!({
        "time": head.time,
        "node": head.node,
        "named": head.named,
        "services": all(&sample.services),
        "endpoints": all(&sample.endpoints),
    })
}

fn object(row: &Row) -> Value {
    let Counters {
        connections,
        incoming_packets,
        outgoing_packets,
        incoming_bytes,
        outgoing_bytes,
        ..
    } = row.rates;
    let mut object = match &row.owner {
        Owner::Port(port) => json!({
            "namespace": port.service.namespace(),
            "service": port.service.name(),
            "port": port.port,
        }),
        Owner::Server(id) => json!({"virtualServer": format!("{id:#}")}),
    };
    let numbers = json!({
        "connectionsPerSecond": connections,
        "packetsInPerSecond": incoming_packets,
        "packetsOutPerSecond": outgoing_packets,
        "bytesInPerSecond": incoming_bytes,
        "bytesOutPerSecond": outgoing_bytes,
        "activeConnections": row.active,
        "inactiveConnections": row.inactive,
    });
    let endpoint = row
        .endpoint
        .map(|endpoint| json!({"endpoint": endpoint.id.to_string(), "weight": endpoint.weight}));
    if let Value::Object(object) = &mut object {
        for more in [endpoint, Some(numbers)].into_iter().flatten() {
            if let Value::Object(more) = more {
                object.extend(more);
            }
        }
    }
    object
}

fn row_name(row: &Row) -> String {
    let owner = match &row.owner {
        Owner::Port(port) => format!("{}:{}", port.service, port.port),
        Owner::Server(id) => format!("{id:#}"),
    };
    match row.endpoint {
        Some(endpoint) if endpoint.weight == 1 => format!("{} {owner}", endpoint.id),
        Some(endpoint) => format!("{} {owner} (weight {})", endpoint.id, endpoint.weight),
        None => owner,
    }
}

fn numbers_of(row: &Row) -> [u64; 7] {
    let rates = &row.rates;
    [
        rates.connections,
        rates.incoming_packets,
        rates.outgoing_packets,
        rates.incoming_bytes,
        rates.outgoing_bytes,
        row.active,
        row.inactive,
    ]
}

fn line(name: &str, width: usize, numbers: &[String; 7], most: usize) -> String {
    // Names come from outside: nothing in them may steer the terminal.
    let name: String = printable_within(name, 512, &[]).into_owned();
    let shown: String = match name.chars().count() > width {
        true => name.chars().take(width - 1).chain(['…']).collect(),
        false => name,
    };
    let mut line = format!("{shown:width$}");
    for (number, width) in numbers.iter().zip(WIDTHS) {
        // A String takes whatever is written.
        let _ = write!(line, "{number:>width$}");
    }
    line.chars().take(most.max(1)).collect()
}

/// A number in few characters: `999`, `1.5k`, `20k`, `3.1M`.
fn short(number: u64) -> String {
    const UNITS: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    if number < 1000 {
        return number.to_string();
    }
    // Ten times the number in the unit, so that one decimal is left.
    let mut tenths = u128::from(number) * 10;
    let mut unit = "";
    for next in UNITS {
        if tenths < 10_000 {
            break;
        }
        tenths /= 1000;
        unit = next;
    }
    match tenths {
        0..100 => format!("{}.{}{unit}", tenths / 10, tenths % 10),
        _ => format!("{}{unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{SortBy, tests::node};
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.0k"),
            (1550, "1.5k"),
            (20_400, "20k"),
            (999_999, "999k"),
            (1_000_000, "1.0M"),
            (u64::MAX, "18E"),
        ] {
            assert_eq!(short(number), text, "{number}");
        }
    }

    #[test]
    fn lines_have_columns_and_are_as_wide_as_the_terminal() {
        let (names, table) = node();
        let sample = Sample::of(&names, &table, None, SortBy::Bytes).cut(2, 1);
        let shown = |width| {
            let lines = lines(&sample, width);
            let plain = lines
                .iter()
                .map(|line| anstream::adapter::strip_str(line).to_string());
            plain.collect::<Vec<_>>()
        };
        assert_eq!(
            shown(100),
            [
                "SERVICE                            CONN/S  PKT/S IN PKT/S OUT  BYTE/S IN BYTE/S OUT  ACTIVE INACTIVE",
                "shop/web:http                           6         0         0        110          0      12        3",
                "kube-system/dns:dns                   900         0         0         90          0       0        1",
                "ENDPOINT                           CONN/S  PKT/S IN PKT/S OUT  BYTE/S IN BYTE/S OUT  ACTIVE INACTIVE",
                "10.1.0.3:53 kube-system/dns:dns         0         0         0         90          0       0        1",
            ]
        );
        assert!(shown(40).iter().all(|line| line.chars().count() == 40));
    }

    #[test]
    fn nothing_in_a_name_steers_the_terminal() {
        let (mut names, table) = node();
        names.ports[1].port = "\u{1b}[2J\u{202e}x".into();
        let sample = Sample::of(&names, &table, Some("shop"), SortBy::Bytes);
        let text = lines(&sample, 200).join("\n");
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(!plain.contains(['\u{1b}', '\u{202e}']), "{plain:?}");
        assert!(plain.contains("shop/web:\\u{1b}[2J\\u{202e}x"), "{plain}");
    }

    #[test]
    fn json_has_whole_numbers_and_names_apart() {
        let (names, table) = node();
        let sample = Sample::of(&names, &table, None, SortBy::Bytes);
        let head = Head {
            time: "2026-01-01T00:00:00Z".to_owned(),
            node: "node-a",
            named: true,
        };
        let json = json(&head, &sample);
        assert_eq!(json["node"], "node-a");
        let web = &json["services"][0];
        assert_eq!(web["namespace"], "shop");
        assert_eq!(web["port"], "http");
        assert_eq!(web["bytesInPerSecond"], 110);
        assert_eq!(json["services"][2]["virtualServer"], "FWM 7");
        assert_eq!(json["endpoints"][1]["endpoint"], "10.1.0.1:8080");
        assert_eq!(json["endpoints"][1]["activeConnections"], 3);
    }
}
