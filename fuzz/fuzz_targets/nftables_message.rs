#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| nftables_netlink::fuzz::message(data));
