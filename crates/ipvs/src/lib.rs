//! IPVS generic netlink: virtual servers and destinations, typed, with a blocking client.
