//! Without `CAP_NET_ADMIN`.

use ipvs_netlink::client::Reason;
use ipvs_netlink::{Error, Request};
use kernel_test::cmd;
use nix::unistd::{Gid, Uid, setresgid, setresuid};

use crate::request;

/// Runs last in its process: there is no way back to root.
pub fn is_asked_for_by_name() {
    cmd("ipvsadm -A -t 10.0.0.1:80 -s rr");
    let nobody = (Uid::from_raw(65534), Gid::from_raw(65534));
    setresgid(nobody.1, nobody.1, nobody.1).unwrap();
    setresuid(nobody.0, nobody.0, nobody.0).unwrap();

    // Looking up the family is free to all, all else is not.
    let mut client = crate::open().unwrap();
    for error in [
        client.info().err(),
        client.services().err(),
        client.table().err(),
        client.request(&request("-A -t 10.0.0.2:80 -s rr")).err(),
        client.apply(&[Request::Flush]).into_result().err(),
    ] {
        match error {
            Some(Error::Refused(refusal)) => {
                assert_eq!(refusal.reason(), Reason::NotPermitted);
                assert!(refusal.to_string().contains("CAP_NET_ADMIN"), "{refusal}");
            }
            other => panic!("{other:?}"),
        }
    }
}
