# What there is to run: `just --list`. The one command before a change is done: `just check`.

# Everything that CI checks, on what is already built.
check: fmt lint test doc

# The tests of the whole workspace.
test:
    cargo test --workspace

# The layout of the code.
fmt:
    cargo fmt --all --check

# Clippy on everything, and on each crate alone without its features.
lint:
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    for crate in core pipe fifo msgqueue shm socket process pool; do \
        cargo clippy -p ipc-$crate --no-default-features -- -D warnings; done

# The documentation, with warnings denied.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps

# The comparison: every mechanism beside its floor.
bench *arguments:
    cargo run --release -p ipc-bench -- {{arguments}}

# The oldest compiler, aarch64 and musl.
targets:
    .ci/targets

# SIGKILL of a peer while the survivor is blocked: Disconnected within 100 ms, 200 times each way.
prove-kill kills="200":
    for crate in pipe fifo shm socket; do \
        KILLS={{kills}} cargo test --release -p ipc-$crate --test 'kill*' -- --test-threads 1 --nocapture || exit 1; done

# Every order of the steps of the ring and its halves, as loom finds them: 2 preemptions take a minute, more many.
prove-loom preemptions="2":
    RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS={{preemptions}} \
        cargo test --target-dir target/loom --release -p ipc-shm --lib model:: -- --nocapture

# SIGKILL after every single instruction of what either end of a ring does, and of what the other meets.
prove-sweep:
    SWEEP=all IPC_TEST_SECONDS=1000 cargo test --release -p ipc-shm --test sweep -- --nocapture

# SIGKILL at random moments, as many as landed inside an operation, of either side of every mechanism.
prove-landed kills="10000":
    for crate in pipe fifo msgqueue shm socket; do \
        KILLS={{kills}} IPC_TEST_SECONDS=3600 cargo test --release -p ipc-$crate --test 'kill*' -- \
            --test-threads 1 --nocapture at_random || exit 1; done

# So many messages in a storm of signals over both ends, 10,000 a second: none lost or doubled, no deadline
# overrun by 10 ms but for the time that others had the processor.
prove-eintr messages="1000000":
    for crate in pipe fifo msgqueue shm socket; do \
        STORM={{messages}} IPC_TEST_SECONDS=3600 cargo test --release -p ipc-$crate --test 'kill*' -- \
            --test-threads 1 --nocapture storm || exit 1; done

# A peer is stopped so many times: deadlines hold, and nothing is lost when it goes on.
prove-stop stops="1000":
    for crate in pipe fifo msgqueue shm socket; do \
        STOPS={{stops}} IPC_TEST_SECONDS=3600 cargo test --release -p ipc-$crate --test 'kill*' -- \
            --test-threads 1 --nocapture stopped || exit 1; done

# So many pairs are made and a child with an end of them killed: no descriptor, child, queue or file is left.
prove-cycles cycles="100000":
    for crate in pipe fifo msgqueue shm socket; do \
        CYCLES={{cycles}} IPC_TEST_SECONDS=3600 cargo test --release -p ipc-$crate --test 'kill*' -- \
            --test-threads 1 --nocapture leave_nothing || exit 1; done

# The ring against corrupted headers and cursors, under the address sanitizer; libFuzzer drives.
prove-fuzz runs="10000000":
    ipc-shm/fuzz/run headers -runs={{runs}}
    ipc-shm/fuzz/run cursors -runs={{runs}}

# Everything that takes apart what a peer wrote: frames of a stream however they are cut, packets, PHP's values,
# Swoole's tasks. What has no unsafe code does without the sanitizer.
prove-decoders runs="10000000":
    SANITIZER=none ipc-core/fuzz/run frames -runs={{runs}}
    SANITIZER=none ipc-msgqueue/fuzz/run php -runs={{runs}}
    SANITIZER=none ipc-msgqueue/fuzz/run swoole -max_len=400 -runs={{runs}}
    ipc-socket/fuzz/run packets -runs={{runs}}

# So many peers of each kind that scribble over all they can write, while the other end goes on.
prove-hostile peers="1000":
    HOSTILE={{peers}} IPC_TEST_SECONDS=3600 cargo test --release -p ipc-shm --test hostile -- --test-threads 1 --nocapture

# The ring's tests in Miri, a component of the nightly compiler. Its weak memory is loom's subject, and its
# own store buffers fail where memory is now a header and now a message's bytes.
prove-miri:
    @cargo +nightly miri --version || { echo "no Miri here: rustup component add --toolchain nightly miri rust-src"; exit 1; }
    MIRIFLAGS="-Zmiri-strict-provenance -Zmiri-disable-weak-memory-emulation" cargo +nightly miri test -p ipc-shm --lib ring

# The tests of ipc-shm under the address sanitizer, which comes with the stable compiler too; but those that
# count page faults or single instructions, which are not the same under it.
prove-asan:
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test --target-dir target/asan \
        --target "$(rustc -vV | sed -n 's/^host: //p')" -p ipc-shm --lib \
        $(cd ipc-shm/tests && ls *.rs | sed '/prefault/d; s/^/--test /; s/[.]rs$//')

# One honest peer of a listener among 63 hostile ones, of one process at nice 19: its p99 within 10 times that among idle ones.
prove-peers seconds="2":
    PEERS={{seconds}} IPC_TEST_SECONDS=600 cargo test --release -p ipc-socket --test flood -- --nocapture

# A pool's manager killed with SIGKILL, so many times with each of four kinds of worker: how long until nobody is left.
prove-orphans trials="1000":
    TRIALS={{trials}} IPC_TEST_SECONDS=3600 cargo test --release -p ipc-pool --test template -- --nocapture nobody

# A pool's tasks under so many kills that landed while one ran, reloads, and stops at random, over either transport:
# none lost, none twice without a death; and one in a hundred of a tenth as many that kills its worker.
prove-chaos tasks="1000000" kills="1000" reloads="50":
    TASKS={{tasks}} KILLS={{kills}} RELOADS={{reloads}} IPC_TEST_SECONDS=3600 \
        cargo test --release -p ipc-pool --test chaos -- --test-threads 1 --nocapture
