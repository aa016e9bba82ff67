//! The command line; see the library.

fn main() -> std::process::ExitCode {
    ipc_bench::main()
}
