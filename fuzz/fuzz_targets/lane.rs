//! `cargo +nightly fuzz run lane`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::lane(input));
