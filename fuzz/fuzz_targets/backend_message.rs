#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| pool_manager::fuzz::backend_message(data));
