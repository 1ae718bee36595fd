#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ipset_netlink::fuzz::restore(data));
