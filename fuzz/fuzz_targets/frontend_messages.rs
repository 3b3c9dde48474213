#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| pgwire_proxy::fuzz::frontend_messages(data));
