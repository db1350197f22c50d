//! `cargo x`: everything that must pass, with one command. The code is in the library, where tests reach it.

fn main() -> std::process::ExitCode {
    playhouse_tests::x::main()
}
