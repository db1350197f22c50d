//! `cargo +nightly fuzz run plane`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::plane(input));
