//! The program: reads the command line and runs what it names.

fn main() -> std::process::ExitCode {
    lximaged::main()
}
