//! `cargo xtask kernels`: what the compiler made of the kernels.
//!
//! Disassembles the release binary and looks at every entry of every kernel, for what silently
//! ruins a kernel without changing a result: a function that was not inlined (correct and fifty
//! times slower), registers of the wrong width, a look-up through memory, a branch on a vector's
//! content. That no branch depends on a secret at all is `cargo xtask ct`'s to show; here a branch
//! must at least stand on a comparison of integers, as loop counters and bounds do, and may be no
//! more than the entry has been seen to need.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Disassembles and checks every entry.
///
/// # Errors
///
/// If objdump is missing, the binary does not build, an entry is not there, or one breaks a rule.
pub(crate) fn check() -> Result<(), String> {
    let binary = build()?;
    let functions = disassemble(&binary)?;
    let mut broken = Vec::new();
    println!("{:<44}{:>8}{:>8}{:>8}{:>8}{:>8}", "entry", "instr.", "zmm", "ymm", "jumps", "calls");
    for entry in ENTRIES {
        let name = format!("cvv2::kernel::{}", entry.name);
        let code = functions
            .get(&name)
            .ok_or_else(|| format!("{name} is not in the binary: inlined, or renamed?"))?;
        let seen = Seen::of(code);
        println!(
            "{:<44}{:>8}{:>8}{:>8}{:>8}{:>8}",
            entry.name,
            seen.instructions,
            seen.zmm,
            seen.ymm,
            seen.jumps,
            seen.calls.len()
        );
        broken.extend(entry.broken_rules(&seen).into_iter().map(|why| format!("{name}: {why}")));
    }
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
}

/// The widest registers that an entry must and may use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    /// No vectors wider than those of every x86-64.
    Baseline,
    Ymm,
    Zmm,
}

/// One entry and what it may contain.
struct Entry {
    name: &'static str,
    width: Width,
    /// Conditional jumps: loop counters, and bounds that are known at the entry.
    jumps_max: usize,
    /// Functions that it may call, by the start of their names.
    calls: &'static [&'static str],
}

/// Ends of a wrong call, before anything secret is read.
const PANICS: &[&str] = &["core::panicking::", "core::slice::index::"];
/// The same, and the C library's copies of blocks whose length is known at compile time.
const PANICS_AND_COPIES: &[&str] =
    &["core::panicking::", "core::slice::index::", "memset@", "memcpy@"];

const ENTRIES: &[Entry] = &[
    bulk("avx512::entry3", Width::Zmm),
    bulk("avx512::entry5", Width::Zmm),
    bulk("avx2::entry3", Width::Ymm),
    bulk("avx2::entry5", Width::Ymm),
    bulk("portable::pass3", Width::Baseline),
    bulk("portable::pass5", Width::Baseline),
    small("avx512_permute::few", Width::Ymm, 24),
    small("avx512_permute::half", Width::Ymm, 24),
    small("avx512_permute::full", Width::Zmm, 24),
    small("avx2_row::entry", Width::Ymm, 8),
    small("portable_row::pass", Width::Baseline, 8),
    small("portable_row::block", Width::Baseline, 8),
];

const fn bulk(name: &'static str, width: Width) -> Entry {
    Entry { name, width, jumps_max: 160, calls: PANICS_AND_COPIES }
}

const fn small(name: &'static str, width: Width, jumps_max: usize) -> Entry {
    Entry { name, width, jumps_max, calls: PANICS }
}

impl Entry {
    fn broken_rules(&self, seen: &Seen) -> Vec<String> {
        let mut broken = Vec::new();
        for call in &seen.calls {
            if !self.calls.iter().any(|allowed| call.starts_with(allowed)) {
                broken.push(format!("calls {call}: was a part of the kernel not inlined?"));
            }
        }
        if let Some(gather) = &seen.gather {
            broken.push(format!("looks up through memory: {gather}"));
        }
        if let Some(jump) = &seen.odd_jump {
            broken
                .push(format!("branches on something else than a comparison of integers: {jump}"));
        }
        if seen.jumps > self.jumps_max {
            let (jumps, max) = (seen.jumps, self.jumps_max);
            broken.push(format!("{jumps} conditional jumps where {max} were enough"));
        }
        let fits = match self.width {
            Width::Baseline => seen.zmm == 0 && seen.ymm == 0,
            Width::Ymm => seen.ymm > seen.zmm,
            Width::Zmm => seen.zmm > seen.ymm,
        };
        if !fits {
            broken.push(format!("{} instructions on zmm, {} on ymm", seen.zmm, seen.ymm));
        }
        broken
    }
}

/// What there is in the machine code of one function.
#[derive(Default)]
struct Seen {
    instructions: usize,
    zmm: usize,
    ymm: usize,
    jumps: usize,
    calls: Vec<String>,
    gather: Option<String>,
    odd_jump: Option<String>,
}

impl Seen {
    fn of(code: &[String]) -> Self {
        let mut seen = Self::default();
        let mut flags = "";
        for line in code {
            let (mnemonic, operands) = line.split_once(' ').unwrap_or((line, ""));
            seen.instructions += 1;
            seen.zmm += usize::from(operands.contains("%zmm"));
            seen.ymm += usize::from(!operands.contains("%zmm") && operands.contains("%ymm"));
            if mnemonic.contains("gather") || mnemonic.contains("scatter") {
                seen.gather.get_or_insert_with(|| line.clone());
            }
            if mnemonic.starts_with("call") {
                seen.calls.push(operands.trim_matches(['<', '>']).to_owned());
            }
            if mnemonic.starts_with('j') && mnemonic != "jmp" {
                seen.jumps += 1;
                let integers =
                    ["cmp", "test", "sub", "add", "dec", "inc", "neg", "and", "or", "sh"];
                if !integers.iter().any(|start| flags.starts_with(start)) || flags.contains("mm") {
                    seen.odd_jump.get_or_insert_with(|| format!("{flags}; {line}"));
                }
            }
            if sets_flags(mnemonic) {
                flags = line;
            }
        }
        seen
    }
}

/// Moves, address computations, vector instructions and jumps leave the flags alone.
fn sets_flags(mnemonic: &str) -> bool {
    let keeps =
        ["mov", "lea", "j", "call", "push", "pop", "nop", "cmov", "set", "bswap", "not", "xchg"];
    let vector_with_flags = ["vptest", "vtest", "kortest", "ktest", "vucomi", "vcomi"];
    vector_with_flags.iter().any(|start| mnemonic.starts_with(start))
        || !(keeps.iter().any(|start| mnemonic.starts_with(start))
            || mnemonic.starts_with('v')
            || mnemonic.starts_with('k')
            || mnemonic.starts_with('p') && mnemonic != "popcnt" && mnemonic != "ptest"
            || ["pext", "pdep", "rorx", "shlx", "shrx", "mulx"].contains(&mnemonic))
}

fn build() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(&root)
        .args(["build", "--quiet", "--release", "--bin", "cvv2"])
        .status()
        .map_err(|e| format!("cargo cannot be run: {e}"))?;
    if !built.success() {
        return Err("the release build failed".to_owned());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    Ok(target.join("release/cvv2"))
}

/// The instructions of every function of the library's kernels, by name. A call names its callee.
fn disassemble(binary: &Path) -> Result<BTreeMap<String, Vec<String>>, String> {
    let text = objdump(binary, &["--disassemble", "--no-show-raw-insn", "--demangle"])?;
    let slots = slots(binary, &text)?;
    let mut functions = BTreeMap::new();
    let mut current: Option<&mut Vec<String>> = None;
    // Where a register that is called through was loaded from.
    let mut loaded = BTreeMap::new();
    for line in text.lines() {
        if let Some((_, name)) = header(line) {
            current = name
                .starts_with("cvv2::kernel::")
                .then(|| functions.entry(name.to_owned()).or_insert_with(Vec::new));
            loaded.clear();
        } else if let (Some(code), Some((_, instruction))) = (&mut current, line.split_once(":\t"))
        {
            let slot = slot(instruction).and_then(|slot| slots.get(slot));
            if let (Some(callee), Some((_, register))) = (slot, instruction.split_once("(%rip),")) {
                let register = register.split_whitespace().next().unwrap_or_default();
                loaded.insert(register.to_owned(), callee.clone());
            }
            code.push(readable(instruction, slot, &loaded));
        }
    }
    Ok(functions)
}

/// The address that `0x1234(%rip)` stands for, which objdump gives as a comment.
fn slot(instruction: &str) -> Option<&str> {
    instruction.split_once("# ").and_then(|(_, at)| at.split_whitespace().next())
}

/// An instruction with single blanks; of a call, `call` and the callee's name.
fn readable(instruction: &str, slot: Option<&String>, loaded: &BTreeMap<String, String>) -> String {
    let words: Vec<_> = instruction.split_whitespace().collect();
    if !instruction.starts_with("call") {
        return words.join(" ");
    }
    let register = words.get(1).and_then(|target| loaded.get(target.trim_start_matches('*')));
    let direct = instruction.split_once('<').map(|(_, name)| name.trim_end_matches('>'));
    let callee = slot.or(register).map(String::as_str).or(direct);
    format!("call <{}>", callee.unwrap_or(instruction))
}

/// `0000000000001234 <name>:`
fn header(line: &str) -> Option<(&str, &str)> {
    line.strip_suffix(">:")?.split_once(" <")
}

/// What each slot of the global offset table leads to, by the slot's address.
fn slots(binary: &Path, disassembly: &str) -> Result<BTreeMap<String, String>, String> {
    let names: BTreeMap<_, _> = disassembly
        .lines()
        .filter_map(header)
        .map(|(address, name)| (address.trim_start_matches('0'), name))
        .collect();
    let relocations = objdump(binary, &["--dynamic-reloc"])?;
    let slot = |line: &str| {
        let mut words = line.split_whitespace();
        let (address, _, target) = (words.next()?, words.next()?, words.next()?);
        let name = match target.strip_prefix("*ABS*+0x") {
            Some(function) => names.get(function.trim_start_matches('0'))?,
            None => target,
        };
        Some((address.trim_start_matches('0').to_owned(), name.to_owned()))
    };
    Ok(relocations.lines().filter_map(slot).collect())
}

fn objdump(binary: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("objdump")
        .args(arguments)
        .arg(binary)
        .output()
        .map_err(|e| format!("objdump (Debian: binutils) cannot be run: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(code: &[&str]) -> Seen {
        Seen::of(&code.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    const VECTORS: [&str; 40] = ["vpxord %zmm0,%zmm1,%zmm2"; 40];

    fn broken(line: &[&str]) -> Vec<String> {
        let mut code = VECTORS.to_vec();
        code.extend(line);
        small("twin", Width::Zmm, 1).broken_rules(&seen(&code))
    }

    #[test]
    fn what_a_kernel_may_contain_passes() {
        assert!(broken(&["cmp $0x10,%rax", "jne <twin+0x10>"]).is_empty());
        assert!(broken(&["call <core::panicking::panic_fmt>"]).is_empty());
    }

    #[test]
    fn what_ruins_a_kernel_is_seen() {
        for (line, told) in [
            (&["call <cvv2::kernel::bitslice::des::substitute>"][..], "not inlined"),
            (&["vpgatherdd (%rax,%zmm1,4),%zmm2{%k1}"], "through memory"),
            (&["kortestw %k0,%k0", "jne <twin+0x10>"], "something else"),
            (&["vptest %ymm0,%ymm0", "je <twin+0x10>"], "something else"),
            (&["cmp $1,%rax", "je <a>", "cmp $2,%rax", "je <b>"], "where 1 were enough"),
        ] {
            let broken = broken(line);
            assert!(broken.len() == 1 && broken[0].contains(told), "{line:?}: {broken:?}");
        }
        let narrow = small("twin", Width::Baseline, 1).broken_rules(&seen(&VECTORS));
        assert!(narrow[0].contains("40 instructions on zmm"));
    }
}
