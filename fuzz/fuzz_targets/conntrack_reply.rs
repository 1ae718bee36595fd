#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| conntrack_netlink::fuzz::reply(data));
