//! Sync daemons.

use ipvs_netlink::{Daemon, DaemonRole, InterfaceName};
use kernel_test::cmd;

use crate::client;

/// An interface that can multicast.
fn interface() -> InterfaceName {
    cmd(
        "ip link add sync0 type dummy && ip link set sync0 multicast on up && ip addr add 10.9.0.1/24 dev sync0",
    );
    InterfaceName::new("sync0").unwrap()
}

fn both(interface: InterfaceName) -> [Daemon; 2] {
    [
        Daemon::new(DaemonRole::Master, interface, 7)
            .with_max_length(1000)
            .with_group([224, 0, 0, 99].into())
            .with_port(9999)
            .with_ttl(3),
        Daemon::new(DaemonRole::Backup, interface, 255)
            .with_max_length(1200)
            .with_group([0xff02, 0, 0, 0, 0, 0, 0, 0x81].into())
            .with_port(9998)
            .with_ttl(1),
    ]
}

const SHOWN: &str = "\
master sync daemon (mcast=sync0, syncid=7, maxlen=1000, group=224.0.0.99, port=9999, ttl=3)
backup sync daemon (mcast=sync0, syncid=255, maxlen=1200, group=ff02::81, port=9998, ttl=1)
";

pub fn ours_are_read_by_ipvsadm() {
    let mut client = client();
    assert_eq!(client.daemons(), Ok(vec![]));
    let daemons = both(interface());
    for daemon in daemons {
        client.start_daemon(daemon).unwrap();
    }
    assert_eq!(cmd("ipvsadm -L --daemon"), SHOWN);
    assert_eq!(client.daemons(), Ok(daemons.to_vec()));
    client.stop_daemon(DaemonRole::Master).unwrap();
    assert_eq!(client.daemons(), Ok(vec![daemons[1]]));
    client.stop_daemon(DaemonRole::Backup).unwrap();
    assert_eq!(cmd("ipvsadm -L --daemon"), "");
}

pub fn those_of_ipvsadm_are_read_by_us() {
    let daemons = both(interface());
    for daemon in daemons {
        let Daemon {
            role,
            interface,
            sync_id,
            max_length,
            group,
            port,
            ttl,
            ..
        } = daemon;
        cmd(&format!(
            "ipvsadm --start-daemon {role} --mcast-interface {interface} --syncid {sync_id} \
             --sync-maxlen {} --mcast-group {} --mcast-port {} --mcast-ttl {}",
            max_length.unwrap(),
            group.unwrap(),
            port.unwrap(),
            ttl.unwrap()
        ));
    }
    assert_eq!(client().daemons(), Ok(daemons.to_vec()));
    assert_eq!(cmd("ipvsadm -L --daemon"), SHOWN);
}

pub fn settings_are_left_to_the_kernel() {
    let mut client = client();
    let asked = Daemon::new(DaemonRole::Master, interface(), 0);
    client.start_daemon(asked).unwrap();
    let filled = asked
        // The MTU of 1500 without the headers of IPv4 and UDP.
        .with_max_length(1472)
        .with_group([224, 0, 0, 81].into())
        .with_port(8848)
        .with_ttl(1);
    assert_eq!(client.daemons(), Ok(vec![filled]));
}
