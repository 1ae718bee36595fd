//! Timeouts, info, flush.

use ipvs_netlink::{Timeouts, Version};
use kernel_test::cmd;

use crate::{add, client, saved_by_ipvsadm, set};

pub fn timeouts_go_both_ways() {
    let mut client = client();
    assert_eq!(
        client.timeouts(),
        Ok(Timeouts {
            tcp: 900,
            tcp_fin: 120,
            udp: 300
        })
    );
    client
        .set_timeouts(Timeouts {
            tcp: 1000,
            tcp_fin: 0,
            udp: 50,
        })
        .unwrap();
    let shown = cmd("ipvsadm -L --timeout");
    assert_eq!(
        shown.parse(),
        Ok(Timeouts {
            tcp: 1000,
            tcp_fin: 120,
            udp: 50
        })
    );
    cmd("ipvsadm --set 0 60 0");
    let timeouts = client.timeouts().unwrap();
    assert_eq!(
        timeouts,
        Timeouts {
            tcp: 1000,
            tcp_fin: 60,
            udp: 50
        }
    );
    assert_eq!(cmd("ipvsadm -L --timeout").trim_end(), timeouts.to_string());
}

pub fn info_is_what_ipvsadm_says() {
    let info = client().info().unwrap();
    assert_eq!(info.version, Version(0x01_0201));
    let header = format!(
        "IP Virtual Server version {} (size={})",
        info.version, info.connection_table_size
    );
    assert_eq!(cmd("ipvsadm -Ln").lines().next(), Some(&header[..]));
}

pub fn flush_deletes_everything() {
    let mut client = client();
    add(
        &mut client,
        &[
            "-A -t 10.0.0.1:80 -s rr",
            "-A -f 7 -s rr",
            "-A -t [2001:db8::1]:80 -s rr",
        ],
    );
    assert_eq!(saved_by_ipvsadm().len(), 3);
    client.flush().unwrap();
    assert_eq!(saved_by_ipvsadm(), set(&[]));
}
