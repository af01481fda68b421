//! The text form of circuits: one gate per line, so that a better circuit is a readable diff.
//!
//! ```text
//! # a comment
//! S4 3 gates
//! n6 = xor n0 n4
//! n7 = select n6 n1 n5
//! n8 = lut 9b n7 n2 n6
//! out n7 !n8 n6 n0
//! ```
//! `n0` to `n5` are the inputs, the most significant first; `!` marks the complement of a node;
//! bit `4a + 2b + c` of the hexadecimal number behind `lut` is the gate's value for inputs `a b c`.

use core::fmt::{self, Write as _};
use std::path::Path;
use std::{fs, io};

use super::circuit::{Circuit, Output};
use super::gate::{Function, Gate, Library};
use super::table::{BOXES, INPUTS, OUTPUTS};

/// One circuit for each S-box.
pub(crate) type Circuits = [Circuit; BOXES];

/// Writes circuits of `library` in the text form.
#[must_use]
pub(crate) fn format(library: Library, circuits: &Circuits) -> String {
    let mut text = format!(
        "# The DES S-boxes as circuits of {}, found by `cargo xtask sbox --search`.\n\
         # The form is described in crates/xtask/src/sbox/data.rs.\n",
        library.gates(),
    );
    for (index, circuit) in circuits.iter().enumerate() {
        let section = Section { index, circuit };
        write!(text, "\n{section}").expect("a String takes everything");
    }
    text
}

/// Reads all eight circuits from the text form.
///
/// # Errors
/// The first line that is not understood, and why.
pub(crate) fn parse(text: &str) -> Result<Circuits, ParseError> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(at, line)| Line { number: at + 1, text: line.trim() })
        .filter(|line| !line.text.is_empty() && !line.text.starts_with('#'));
    let mut circuits = Vec::with_capacity(BOXES);
    while circuits.len() < BOXES {
        circuits.push(parse_section(circuits.len(), &mut lines)?);
    }
    match lines.next() {
        Some(line) => Err(line.error("nothing may follow S8")),
        None => Ok(circuits.try_into().expect("the loop ends with eight")),
    }
}

/// Replaces a file as a whole: whoever reads it sees the old text or the new, never a part.
///
/// # Errors
/// When the file or its neighbour with the name extended by `.new` cannot be written.
pub(crate) fn save(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_added_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

/// A line of a data file that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParseError {
    /// The line, from 1; 0 for the end of the file.
    pub(crate) line: usize,
    /// What was expected there.
    pub(crate) expected: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "the file ends too early: {}", self.expected),
            line => write!(f, "line {line}: {}", self.expected),
        }
    }
}

impl core::error::Error for ParseError {}

struct Section<'a> {
    index: usize,
    circuit: &'a Circuit,
}

impl fmt::Display for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "S{} {} gates", self.index + 1, self.circuit.gates.len())?;
        for (i, gate) in self.circuit.gates.iter().enumerate() {
            let function = gate.function();
            write!(f, "n{} = {}", INPUTS + i, function.name())?;
            if let Function::Lut(lut) = function {
                write!(f, " {lut:02x}")?;
            }
            for input in gate.operands() {
                write!(f, " n{input}")?;
            }
            writeln!(f)?;
        }
        write!(f, "out")?;
        for output in self.circuit.outputs {
            write!(f, " {}n{}", if output.inverted { "!" } else { "" }, output.node)?;
        }
        writeln!(f)
    }
}

struct Line<'a> {
    number: usize,
    text: &'a str,
}

impl Line<'_> {
    fn error(&self, expected: &'static str) -> ParseError {
        ParseError { line: self.number, expected }
    }
}

fn parse_section<'a>(
    index: usize,
    lines: &mut impl Iterator<Item = Line<'a>>,
) -> Result<Circuit, ParseError> {
    const END: ParseError =
        ParseError { line: 0, expected: "eight circuits, each ending with out" };
    let head = lines.next().ok_or(END)?;
    let count =
        parse_head(index, head.text).ok_or(head.error("expected `S<box> <count> gates`"))?;
    let mut gates = Vec::with_capacity(count);
    loop {
        let line = lines.next().ok_or(END)?;
        if let Some(outputs) = line.text.strip_prefix("out ") {
            if gates.len() != count {
                return Err(line.error("the number of gates differs from the head of the circuit"));
            }
            let outputs =
                parse_outputs(outputs).ok_or(line.error("expected `out` and four nodes"))?;
            return Ok(Circuit { gates, outputs });
        }
        let gate = parse_gate(INPUTS + gates.len(), line.text)
            .ok_or(line.error("expected `n<next node> = <function> <earlier nodes>`"))?;
        gates.push(gate);
    }
}

fn parse_head(index: usize, text: &str) -> Option<usize> {
    let (name, rest) = text.split_once(' ')?;
    if name != format!("S{}", index + 1) {
        return None;
    }
    rest.strip_suffix(" gates")?.parse().ok()
}

fn parse_gate(node: usize, text: &str) -> Option<Gate> {
    let (left, right) = text.split_once(" = ")?;
    if usize::from(parse_node(left)?) != node {
        return None;
    }
    let mut words = right.split_whitespace();
    let function = match words.next()? {
        "lut" => Function::Lut(u8::from_str_radix(words.next()?, 16).ok()?),
        name => Function::NAMED.into_iter().find(|f| f.name() == name)?,
    };
    let inputs: Vec<u8> = words.map(parse_node).collect::<Option<_>>()?;
    (inputs.len() == function.arity()).then(|| Gate::new(function, &inputs))
}

fn parse_outputs(text: &str) -> Option<[Output; OUTPUTS]> {
    let parse_output = |word: &str| {
        let plain = word.strip_prefix('!');
        let node = parse_node(plain.unwrap_or(word))?;
        Some(Output { node, inverted: plain.is_some() })
    };
    let outputs: Vec<_> = text.split_whitespace().map(parse_output).collect::<Option<_>>()?;
    outputs.try_into().ok()
}

fn parse_node(word: &str) -> Option<u8> {
    word.strip_prefix('n')?.parse().ok()
}

/// The circuits of the repository, in the order of [`Library::ALL`].
#[cfg(test)]
pub(crate) fn shipped() -> [(Library, Circuits); 3] {
    Library::ALL.map(|library| {
        let text = match library {
            Library::Lut2 => include_str!("../../data/sbox_lut2.txt"),
            Library::Select => include_str!("../../data/sbox_select.txt"),
            Library::Lut3 => include_str!("../../data/sbox_lut3.txt"),
        };
        (library, parse(text).expect("the repository's circuits are well-formed"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_circuits_are_the_s_boxes() {
        for (library, circuits) in shipped() {
            for (index, circuit) in circuits.iter().enumerate() {
                assert_eq!(circuit.prove(library, index), Ok(()), "{library:?} S{}", index + 1);
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (library, circuits) in shipped() {
            assert_eq!(parse(&format(library, &circuits)), Ok(circuits));
        }
    }

    #[test]
    fn errors_name_the_line() {
        let (library, circuits) = &shipped()[0];
        let text = format(*library, circuits);
        let line_of = |text: &str| parse(text).expect_err("the text is wrong").line;

        assert_eq!(line_of(""), 0);
        assert_eq!(line_of("# nothing\n\nS2 3 gates\n"), 3);
        assert_eq!(line_of("S1 1 gates\nn7 = and n0 n1\n"), 2);
        assert_eq!(line_of("S1 1 gates\nn6 = and n0\n"), 2);
        assert_eq!(line_of("S1 1 gates\nn6 = lut 1ff n0 n1 n2\n"), 2);
        assert_eq!(line_of("S1 2 gates\nn6 = and n0 n1\nout n6 n6 n6 n6\n"), 3);
        assert_eq!(line_of("S1 1 gates\nn6 = and n0 n1\nout n6 n6 n6\n"), 3);
        assert_eq!(line_of(&format!("{text}S9 1 gates\n")), text.lines().count() + 1);
        let cut = &text[..text.rfind("out").expect("there is an out line")];
        assert_eq!(line_of(cut), 0);
    }
}
