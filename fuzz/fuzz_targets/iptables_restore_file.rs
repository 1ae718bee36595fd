#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| iptables_restore::fuzz::restore_file(data));
