#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tidegate_features::fuzz::drive("plan", bytes);
});
