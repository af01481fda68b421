//! `cargo xtask ct`: no branch and no address may depend on a secret, in debug and in release
//! builds.
//!
//! Builds `checks/memcheck`, runs it under valgrind and prints what each of its cases reported.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs the check; it takes no arguments.
///
/// # Errors
///
/// If valgrind is missing, the program does not build or does not end, a case of the library is
/// reported, or a leaky twin is not.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some(unknown) = args.first() {
        return Err(format!("ct takes no arguments, but {unknown:?} was given"));
    }
    require_valgrind()?;

    let debug = Run::of("debug", &build("dev")?)?;
    let release = Run::of("release", &build("release")?)?;
    print_table(&debug, &release);

    let failures: Vec<_> = [debug, release].iter().filter_map(Run::failure).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// What the program printed, and where valgrind's own reports are.
struct Run {
    build: &'static str,
    cases: Vec<Case>,
    /// Whether it came to its end and found nothing wrong itself.
    passed: bool,
    log: PathBuf,
}

struct Case {
    name: String,
    reports: String,
    verdict: String,
}

impl Run {
    fn of(build: &'static str, program: &Path) -> Result<Self, String> {
        println!("running the {build} build under valgrind");
        let log = program.with_extension("log");
        let reports = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let output = Command::new("valgrind")
            // Without it valgrind stops counting at a thousand different reports.
            .arg("--error-limit=no")
            .arg(format!("--suppressions={}", workspace().join(SUPPRESSIONS).display()))
            .arg(program)
            .stderr(reports)
            .output()
            .map_err(|error| format!("valgrind cannot be run: {error}"))?;

        let stdout = String::from_utf8_lossy(&output.stdout);
        let cases: Vec<_> = stdout.lines().filter_map(Case::parse).collect();
        let end = format!("{} cases, 0 failed", cases.len());
        let ended = !cases.is_empty() && stdout.lines().last() == Some(end.as_str());
        Ok(Self { build, cases, passed: output.status.success() && ended, log })
    }

    fn failure(&self) -> Option<String> {
        let Self { build, cases, passed, log } = self;
        let failed = cases.iter().filter(|case| !case.verdict.starts_with("ok")).count();
        (!passed || failed > 0).then(|| {
            format!(
                "{build}: {failed} of {} cases failed; reports in {}",
                cases.len(),
                log.display()
            )
        })
    }

    /// What the case of this name reported, and its verdict.
    fn column(&self, name: &str) -> [&str; 2] {
        let case = self.cases.iter().find(|case| case.name == name);
        case.map_or(["-", "DID NOT RUN"], |case| [&case.reports, &case.verdict])
    }
}

impl Case {
    /// From a line of reports, name and verdict, with two blanks or more between them.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split("  ").map(str::trim).filter(|field| !field.is_empty());
        let mut field = || fields.next().map(str::to_owned);
        Some(Self { reports: field()?, name: field()?, verdict: field()? })
    }
}

fn require_valgrind() -> Result<(), String> {
    match Command::new("valgrind").arg("--version").stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("valgrind --version failed: {status}")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("valgrind is not installed; ct needs it (Debian: apt-get install valgrind)".into())
        }
        Err(error) => Err(format!("valgrind cannot be run: {error}")),
    }
}

/// Builds the program and says where it is.
fn build(profile: &str) -> Result<PathBuf, String> {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--message-format=json-render-diagnostics"])
        .args(["--package", PROGRAM, "--profile", profile])
        .current_dir(workspace())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("{PROGRAM} does not build with profile {profile}"));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|message| message.split_once(r#""executable":""#)?.1.split('"').next())
        .map(PathBuf::from)
        .find(|path| path.ends_with(PROGRAM))
        .ok_or_else(|| format!("cargo did not say where it put {PROGRAM}"))
}

fn print_table(debug: &Run, release: &Run) {
    println!("\n{:<44}  {:>7}  {:>7}  verdict", "case", debug.build, release.build);
    let only_release = release.cases.iter().filter(|case| debug.column(&case.name)[0] == "-");
    for Case { name, .. } in debug.cases.iter().chain(only_release) {
        let ([in_debug, verdict], [in_release, other]) = (debug.column(name), release.column(name));
        let differs = if verdict == other { String::new() } else { format!(" / {other}") };
        println!("{name:<44}  {in_debug:>7}  {in_release:>7}  {verdict}{differs}");
    }
    println!();
}

/// The root of the workspace.
fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

const PROGRAM: &str = "check-memcheck";
/// What is declared public, each with its reason.
const SUPPRESSIONS: &str = "checks/memcheck/memcheck.supp";
