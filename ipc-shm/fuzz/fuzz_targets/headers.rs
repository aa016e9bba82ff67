//! Whatever the sender's memory holds, the receiver neither panics, nor hangs, nor reads outside.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    ipc_shm_fuzz::play(|| ipc_shm::hostile::attack_receiver(script));
});
