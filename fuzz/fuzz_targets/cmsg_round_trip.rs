#![no_main]

#[path = "../planted.rs"]
mod planted;

libfuzzer_sys::fuzz_target!(|data: &[u8]| planted::cmsg_round_trip(data, planted::is_wanted()));
