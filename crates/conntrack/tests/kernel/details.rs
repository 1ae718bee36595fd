//! Filters, updates and flushes, held against `conntrack`.

use std::time::Duration;

use conntrack_netlink::{
    Error, Family, Filter, Flow, FlowKey, FlowUpdate, Mark, Protocol, Status, Tuple,
};
use kernel_test::{cmd, cmd_input};
use netlink_batch::errno;

use crate::{Client, ip, make_flows, open, theirs};

/// What `conntrack -L` lists with these options, without what changes by itself.
pub(crate) fn listed(options: &str) -> Vec<String> {
    let text = cmd(&format!("conntrack -L -o id {options} 2>/dev/null"));
    let mut lines: Vec<_> = text.lines().map(steady).collect();
    lines.sort();
    lines
}

/// The same of these flows.
pub(crate) fn shown(flows: &[Flow]) -> Vec<String> {
    let mut lines: Vec<_> = flows
        .iter()
        .map(|flow| steady(&format!("{flow:#}")))
        .collect();
    lines.sort();
    lines
}

/// A line without its timeout, the time since the flow began, the count of users and the security context.
fn steady(line: &str) -> String {
    let left_out = ["delta-time", "use", "secctx"];
    let kept = line.split_whitespace().enumerate().filter(|(place, word)| {
        let key = word.split_once('=').map_or("", |(key, _)| key);
        *place != 2 && !left_out.contains(&key)
    });
    kept.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

fn ports(flows: &[Flow]) -> Vec<u16> {
    let mut ports: Vec<_> = flows
        .iter()
        .map(|flow| flow.original.source_port().unwrap())
        .collect();
    ports.sort_unstable();
    ports
}

pub(crate) fn filters_narrow_listings_and_deletions() {
    let flow = "-p udp -s 10.0.0.1 -d 10.96.0.10 --dport 53 -t 300";
    let tcp = "-p tcp -s fd00::1 -d fd00::2 --dport 80 --state ESTABLISHED -t 300";
    // conntrack 1.4.7 mixes up a mark and status bits in one command.
    cmd_input(
        "conntrack --load-file - 2>/dev/null",
        &format!(
            "-I {flow} --sport 1 -m 0x15
             -I {flow} --sport 2 -u SEEN_REPLY,ASSURED
             -I {flow} --sport 3 -u SEEN_REPLY
             -I {tcp} --sport 4 -u SEEN_REPLY,ASSURED
             -I {tcp} --sport 5 -u FIXED_TIMEOUT\n"
        ),
    );
    let mut client = open().unwrap();
    let all = Filter::new();
    let mark = |flow: &Flow| {
        let mark = match flow.original.source_port()? {
            2 => 0x25,
            3 => 0x26,
            4 => 0x15,
            _ => return None,
        };
        Some(FlowUpdate::new(flow).mark(Mark::exactly(mark)))
    };
    let flows = client.flows_where(&all).unwrap();
    let marks: Vec<_> = flows.iter().filter_map(mark).collect();
    assert_eq!(client.update(&marks), Ok(3));
    let nibble = Mark {
        value: 5,
        mask: 0xf,
    };
    let mut found = |filter: Filter, options: &str| {
        let flows = client.flows_where(&filter).unwrap();
        assert_eq!(shown(&flows), listed(options), "{options}");
        ports(&flows)
    };
    assert_eq!(found(all, ""), [1, 2, 3, 4, 5]);
    assert_eq!(found(Family::V6.into(), "-f ipv6"), [4, 5]);
    assert_eq!(found(all.mark(nibble), "-m 0x5/0xf"), [1, 2, 4]);
    assert_eq!(found(all.mark(Mark::exactly(0x26)), "-m 0x26"), [3]);
    assert_eq!(found(all.mark(Mark::exactly(0)), "-m 0"), [5]);
    let v4 = all.family(Family::V4).mark(nibble);
    assert_eq!(found(v4, "-f ipv4 -m 0x5/0xf"), [1, 2]);
    assert_eq!(
        found(all.with_status(Status::ASSURED), "-u ASSURED"),
        [2, 4]
    );
    // What conntrack has no option for.
    let both = all
        .with_status(Status::SEEN_REPLY)
        .without_status(Status::ASSURED);
    assert_eq!(ports(&client.flows_where(&both).unwrap()), [3]);
    let unanswered = all.without_status(Status::SEEN_REPLY).mark(nibble);
    assert_eq!(ports(&client.flows_where(&unanswered).unwrap()), [1]);

    assert_eq!(
        client.delete_where(&all.with_status(Status::ASSURED).mark(nibble)),
        Ok(2)
    );
    assert_eq!(ports(&client.flows_where(&all).unwrap()), [1, 3, 5]);
    assert_eq!(client.delete_where(&both), Ok(1));
    assert_eq!(client.delete_where(&both), Ok(0));
    assert_eq!(client.delete_where(&all), Ok(2));
    assert_eq!(listed(""), [""; 0]);
}

fn timeout(client: &mut Client, key: &FlowKey) -> Duration {
    client.flow(key).unwrap().unwrap().timeout.unwrap()
}

pub(crate) fn updates_are_read_by_conntrack() {
    let tuples = make_flows(3);
    let mut client = open().unwrap();
    let keys: Vec<FlowKey> = tuples.iter().map(|tuple| (*tuple).into()).collect();
    let gone = Tuple::ports(Protocol::UDP, (ip("10.0.0.9"), 1), (ip("10.96.0.10"), 53));
    assert_eq!(client.flow(&gone.into()), Ok(None));
    let mark = |value, mask| Mark { value, mask };
    let updates = [
        FlowUpdate::new(keys[0]).mark(Mark::exactly(0xabcd)),
        FlowUpdate::new(gone).mark(Mark::exactly(1)),
        FlowUpdate::new(keys[1]).timeout(Duration::from_secs(100_000)),
        // Bits outside of the mask do not count.
        FlowUpdate::new(keys[0]).mark(mark(0x1012, 0xff)),
    ];
    assert_eq!(client.update(&[]), Ok(0));
    assert_eq!(client.update(&updates), Ok(3));
    let line = &listed("-p udp --orig-port-src 10000")[0];
    assert!(line.contains(&format!("mark={} ", 0xab12)), "{line}");
    assert_eq!(shown(&[client.flow(&keys[0]).unwrap().unwrap()])[0], *line);
    assert!(timeout(&mut client, &keys[1]) > Duration::from_secs(90_000));
    let line = cmd("conntrack -L -p udp --orig-port-src 10001 2>/dev/null");
    let theirs: u64 = line.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(theirs > 90_000, "{line}");
    assert!(timeout(&mut client, &keys[2]) <= Duration::from_secs(300));

    // One that was listed with its id is not another with the same tuple.
    let flow = client.flow(&keys[2]).unwrap().unwrap();
    assert_eq!(client.flow(&flow.key()), Ok(Some(flow)));
    let other = keys[2].with_id(flow.id.unwrap() ^ 1);
    assert_eq!(client.flow(&other), Ok(None));
}

pub(crate) fn what_cannot_be_changed_is_named() {
    let tuples = make_flows(2);
    let mut client = open().unwrap();
    let keys: Vec<FlowKey> = tuples.iter().map(|tuple| (*tuple).into()).collect();
    let flow = client.flow(&keys[0]).unwrap().unwrap();
    // The bit CONFIRMED cannot be cleared; the other flow is changed all the same.
    let mut cleared = FlowUpdate::new(keys[0]);
    cleared.status = Some(Status::SEEN_REPLY);
    let updates = [cleared, FlowUpdate::new(keys[1]).mark(Mark::exactly(7))];
    match client.update(&updates).unwrap_err() {
        Error::NotUpdated {
            flow,
            others,
            reason,
        } => {
            assert_eq!((*flow, others), (keys[0], 0));
            assert_eq!(reason.code(), Some(errno::EBUSY));
        }
        error => panic!("{error}"),
    }
    assert_eq!(client.flow(&keys[1]).unwrap().unwrap().mark, Some(7));

    let added = Status::SEEN_REPLY | Status::ASSURED | Status::FIXED_TIMEOUT;
    let update = FlowUpdate::new(keys[0]).add_status(&flow, added);
    assert_eq!(client.update(&[update]), Ok(1));
    let fixed = client.flow(&keys[0]).unwrap().unwrap();
    assert_eq!(fixed.status, Some(flow.status.unwrap() | added));
    assert_eq!(shown(&[fixed]), listed("-u ASSURED"));
    let update = FlowUpdate::new(keys[0]).timeout(Duration::from_secs(7));
    match client.update(&[update]).unwrap_err() {
        Error::NotUpdated { reason, .. } => assert_eq!(reason.code(), Some(errno::EPERM)),
        error => panic!("{error}"),
    }
}

pub(crate) fn a_family_is_flushed_and_then_all() {
    make_flows(5);
    let six = "-p udp -s fd00::1 -d fd00::2 --dport 53 -t 300";
    cmd(&format!("conntrack -I {six} --sport 1 2>/dev/null"));
    let mut client = open().unwrap();
    client.flush_family(Family::V4).unwrap();
    assert_eq!(theirs(Family::V4).len(), 0);
    assert_eq!(theirs(Family::V6).len(), 1);
    make_flows(5);
    client.flush_family(Family::V6).unwrap();
    assert_eq!(theirs(Family::V4).len(), 5);
    assert_eq!(theirs(Family::V6).len(), 0);
    cmd(&format!("conntrack -I {six} --sport 1 2>/dev/null"));
    client.flush().unwrap();
    assert_eq!(cmd("conntrack -C"), "0\n");
    client.flush().unwrap();
}
