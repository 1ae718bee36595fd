//! The difference between two tables, carried out by the kernel.

use ipvs_netlink::{Table, VirtualServerId, diff};
use kernel_test::cmd_input;

use crate::client;

const FOUND: &str = "\
-A -t 10.0.0.1:80 -s rr
-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1
-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1
-A -t 10.0.0.2:80 -s rr -p 60
-a -t 10.0.0.2:80 -r 10.1.0.1:80 -g -w 1
-A -u [2001:db8::1]:53 -s sh -b sh-port
-A -f 7 -s rr
-a -f 7 -r 10.1.0.1:0 -m -w 1
";

const WANTED: &str = "\
-A -t 10.0.0.1:80 -s wrr -p 360 -M 255.255.255.0
-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 5
-a -t 10.0.0.1:80 -r 10.1.0.3:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-A -t 10.0.0.3:80 -s rr
-a -t 10.0.0.3:80 -r 10.1.0.1:80 -m -w 1
-A -u [2001:db8::1]:53 -s sh -b sh-port
-a -u [2001:db8::1]:53 -r [2001:db8:1::1]:53 -m -w 1
";

pub fn the_kernel_becomes_what_is_wanted() {
    let mut client = client();
    cmd_input("ipvsadm -R", FOUND);
    let mut read = || client.table().unwrap().into_iter().collect::<Table>();
    let found = read();
    assert_eq!(found, FOUND.parse().unwrap());
    let wanted: Table = WANTED.parse().unwrap();
    // Firewall marks are of others.
    let ours = |id: &VirtualServerId| matches!(id, VirtualServerId::Address { .. });
    let changes = diff(&wanted, &found, ours);
    assert_eq!(changes.len(), 8);
    client.apply(&changes).into_result().unwrap();

    let mut read = || client.table().unwrap().into_iter().collect::<Table>();
    let expected = format!("{WANTED}-A -f 7 -s rr\n-a -f 7 -r 10.1.0.1:0 -m -w 1\n");
    assert_eq!(read(), expected.parse().unwrap());
    assert_eq!(diff(&wanted, &read(), ours), []);
}
