//! Whatever the receiver's memory holds, the sender neither panics, nor hangs, nor writes where it
//! has no room.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    ipc_shm_fuzz::play(|| ipc_shm::hostile::attack_sender(script));
});
