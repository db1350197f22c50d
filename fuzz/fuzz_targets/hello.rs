//! `cargo +nightly fuzz run hello`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::hello(input));
