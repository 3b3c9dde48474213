#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| pgwire_proxy::fuzz::scram_server(data));
