#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| netlink_batch::fuzz::replies(data));
