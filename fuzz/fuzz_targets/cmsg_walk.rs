#![no_main]

#[path = "../planted.rs"]
mod planted;

libfuzzer_sys::fuzz_target!(|data: &[u8]| planted::cmsg_walk(data, planted::is_wanted()));
