//! ipset over netlink: set types, entries and a blocking client, without the ipset binary.
