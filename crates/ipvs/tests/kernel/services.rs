//! Virtual servers.

use ipvs_netlink::{
    Family, Netmask, PersistenceEngine, Protocol, Scheduler, ServiceFlags, VirtualServerConfig,
    VirtualServerId,
};
use kernel_test::cmd;

use crate::{
    add, assert_ipvsadm_reads, assert_reads_those_of_ipvsadm, client, saved, saved_by_ipvsadm, set,
};

/// Every way to identify a service and every option.
const LINES: [&str; 19] = [
    "-A -t 10.0.0.1:80 -s rr",
    "-A -u 10.0.0.1:80 -s rr",
    "-A --sctp-service 10.0.0.1:80 -s rr",
    "-A -t [2001:db8::1]:80 -s rr",
    "-A -u [2001:db8::1]:53 -s wlc",
    "-A --sctp-service [2001:db8::1]:53 -s wlc",
    "-A -f 7 -s wlc",
    "-A -f 7 -6 -s wlc",
    "-A -f 2147483647 -s wlc",
    "-A -t 10.0.0.2:80 -s rr -p 600",
    "-A -t 10.0.0.2:0 -s rr -p 1",
    "-A -t 10.0.0.3:80 -s rr -p 600 -M 255.255.255.0",
    "-A -t 10.0.0.4:80 -s rr -p 600 -M 0.0.0.0",
    "-A -t [2001:db8::2]:80 -s rr -p 600 -M 64",
    "-A -f 8 -6 -s rr -p 600 -M 1",
    "-A -u 10.0.0.5:53 -s rr -o",
    "-A -u 10.0.0.5:5060 -s sh -p 60 --pe sip -o -b sh-port",
    "-A -t 10.0.0.6:80 -s mh -b mh-fallback,mh-port",
    "-A -t 10.0.0.7:80 -s rr -b flag-1,flag-2,flag-3",
];

pub fn ours_are_read_by_ipvsadm() {
    assert_ipvsadm_reads(&LINES);
}

pub fn those_of_ipvsadm_are_read_by_us() {
    assert_reads_those_of_ipvsadm(&LINES);
}

/// All but `twos`, which Debian's kernels are built without.
pub fn every_scheduler_is_loaded() {
    let all = [
        Scheduler::RR,
        Scheduler::WRR,
        Scheduler::LC,
        Scheduler::WLC,
        Scheduler::LBLC,
        Scheduler::LBLCR,
        Scheduler::DH,
        Scheduler::SH,
        Scheduler::SED,
        Scheduler::NQ,
        Scheduler::FO,
        Scheduler::OVF,
        Scheduler::MH,
    ];
    let lines = all.map(|scheduler| format!("-A -t 10.0.0.1:80 -s {scheduler}"));
    let mut client = client();
    for line in &lines {
        add(&mut client, &[line]);
        assert_eq!(saved_by_ipvsadm(), set(&[line]));
        client.flush().unwrap();
    }
}

fn http() -> VirtualServerId {
    let address = "10.0.0.1".parse().unwrap();
    VirtualServerId::Address {
        protocol: Protocol::TCP,
        address,
        port: 80,
    }
}

pub fn are_changed_in_place() {
    let mut client = client();
    add(
        &mut client,
        &[
            "-A -t 10.0.0.1:80 -s rr",
            "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1",
        ],
    );
    let mut config = VirtualServerConfig::new(Scheduler::SH).persistent(60);
    config.netmask = Netmask::new(Family::V4, 24).unwrap();
    config.flags |= ServiceFlags::SH_PORT;
    client.set_service(http(), config).unwrap();
    let persistent = "-A -t 10.0.0.1:80 -s sh -p 60 -M 255.255.255.0 -b sh-port";
    let destination = "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1";
    assert_eq!(saved_by_ipvsadm(), set(&[persistent, destination]));

    // And back: flags that are not set are cleared.
    let plain = VirtualServerConfig::new(Scheduler::RR);
    client.set_service(http(), plain).unwrap();
    assert_eq!(
        saved_by_ipvsadm(),
        set(&["-A -t 10.0.0.1:80 -s rr", destination])
    );
    assert_eq!(client.service(http()).unwrap().unwrap().config, plain);

    // An engine stays only where it is given again.
    let address = "10.0.0.1".parse().unwrap();
    let sip = VirtualServerId::Address {
        protocol: Protocol::UDP,
        address,
        port: 5060,
    };
    let mut config = VirtualServerConfig::new(Scheduler::RR).persistent(60);
    config.engine = Some(PersistenceEngine::SIP);
    client.add_service(sip, config).unwrap();
    client.set_service(sip, config).unwrap();
    assert_eq!(client.service(sip).unwrap().unwrap().config, config);
    config.engine = None;
    client.set_service(sip, config).unwrap();
    assert_eq!(client.service(sip).unwrap().unwrap().config, config);
}

pub fn are_got_and_deleted_one_by_one() {
    let mut client = client();
    assert_eq!(client.service(http()), Ok(None));
    cmd("ipvsadm -A -t 10.0.0.1:80 -s lc -p 30; ipvsadm -A -f 3 -6 -s wrr");
    let found = client.service(http()).unwrap().unwrap();
    assert_eq!(found.id, http());
    assert_eq!(
        found.config,
        VirtualServerConfig::new(Scheduler::LC).persistent(30)
    );
    let mark = VirtualServerId::FirewallMark {
        family: Family::V6,
        mark: 3.try_into().unwrap(),
    };
    assert_eq!(
        client.service(mark).unwrap().unwrap().config.scheduler,
        Scheduler::WRR
    );

    client.delete_service(http()).unwrap();
    assert_eq!(saved_by_ipvsadm(), set(&["-A -f 3 -6 -s wrr"]));
    client.delete_service(mark).unwrap();
    assert_eq!(saved_by_ipvsadm(), set(&[]));
}

/// The kernel keeps services of any protocol; `ipvsadm` does not show of which.
pub fn of_other_protocols_are_kept_apart() {
    let mut client = client();
    add(&mut client, &["-A --protocol-51-service 10.0.0.1:80 -s rr"]);
    assert_eq!(
        saved(&mut client),
        set(&["-A --protocol-51-service 10.0.0.1:80 -s rr"])
    );
    assert_eq!(
        saved_by_ipvsadm(),
        set(&["-A --xxx-service 10.0.0.1:80 -s rr"])
    );
}

pub fn netmasks_with_holes_are_cut_at_the_first() {
    cmd("ipvsadm -A -t 10.0.0.1:80 -s rr -p 60 -M 255.255.0.255");
    let expected = set(&["-A -t 10.0.0.1:80 -s rr -p 60 -M 255.255.0.0"]);
    assert_eq!(saved(&mut client()), expected);
}
