//! Many netlink requests in one sendmsg, each answered on its own.
