//! Runs the library under valgrind's memcheck with every secret marked as undefined memory.
//!
//! Memcheck follows undefined bits through registers and memory, and reports where one decides a
//! branch or is part of an address: just what code in constant time must not do. A report counts
//! for the case that was running. Cases of the library must have none; the deliberately leaky twins
//! must each have one, or the check itself is broken.
//!
//! What memcheck cannot see: instructions whose own time depends on their operands (division), and
//! kernels for instructions that valgrind does not know (it hides AVX-512 from the program).
//!
//! `cargo xtask ct` builds this program both ways and runs it; by hand: `valgrind --error-limit=no
//! --suppressions=checks/memcheck/memcheck.supp target/debug/check-memcheck`.

mod library;
mod secret;
mod twins;
mod valgrind;

use std::process::ExitCode;

/// Something to run, and what has to come of it.
struct Case {
    name: String,
    expected: Expected,
    /// Everything secret is marked before it is called. It says if a result was not as it should
    /// be.
    run: Box<dyn FnOnce() -> Result<(), &'static str>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Constant time: no report.
    Clean,
    /// A leaky twin: at least one report.
    Reported,
}

impl Case {
    fn new(
        name: impl Into<String>,
        expected: Expected,
        run: impl FnOnce() -> Result<(), &'static str> + 'static,
    ) -> Self {
        Self { name: name.into(), expected, run: Box::new(run) }
    }

    /// Runs the case and prints one line about it; false if it is not as expected.
    fn passes(self) -> bool {
        // Valgrind writes its reports between these lines.
        eprintln!("== {}", self.name);
        let before = valgrind::errors();
        let result = (self.run)();
        let reports = valgrind::errors() - before;

        let as_expected = match self.expected {
            Expected::Clean => reports == 0,
            Expected::Reported => reports > 0,
        };
        let verdict = match (result, as_expected, self.expected) {
            (Err(wrong), ..) => wrong,
            (Ok(()), true, Expected::Clean) => "ok",
            (Ok(()), true, Expected::Reported) => "ok, the twin was seen",
            (Ok(()), false, Expected::Clean) => "LEAKS",
            (Ok(()), false, Expected::Reported) => "MISSED TWIN",
        };
        println!("{reports:>8}  {:<44}  {verdict}", self.name);
        verdict.starts_with("ok")
    }
}

fn main() -> ExitCode {
    if !valgrind::is_running() {
        eprintln!("this program says nothing outside of valgrind; run `cargo xtask ct`");
        return ExitCode::from(2);
    }
    let (mut total, mut failed) = (0, 0);
    for case in library::cases().into_iter().chain(twins::cases()) {
        total += 1;
        failed += usize::from(!case.passes());
    }
    println!("{total} cases, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
