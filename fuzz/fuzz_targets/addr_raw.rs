#![no_main]

#[path = "../planted.rs"]
mod planted;

libfuzzer_sys::fuzz_target!(|data: &[u8]| planted::addr_raw(data, planted::is_wanted()));
