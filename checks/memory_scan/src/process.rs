//! A child process and its memory, read from outside.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use cvv2::Kernel;
use cvv2::secret::Protection;

use crate::stage::Stage;

/// A readable mapping of the child and its content.
pub(crate) struct Region {
    pub(crate) name: String,
    pub(crate) start: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Region {
    /// The content of the same mapping in another process.
    pub(crate) fn same<'a>(&self, others: &'a [Self]) -> Option<&'a [u8]> {
        let here =
            |other: &&Self| (other.start, other.bytes.len()) == (self.start, self.bytes.len());
        others.iter().find(here).map(|other| other.bytes.as_slice())
    }

    pub(crate) fn place(&self, at: usize) -> String {
        format!("{} at {:#x}", self.name, self.start + at)
    }
}

/// What can be seen of the child's memory.
#[derive(Default)]
pub(crate) struct Memory {
    /// Ordinary memory.
    pub(crate) open: Vec<Region>,
    /// What is locked and left out of core dumps.
    pub(crate) locked: Vec<Region>,
    /// How many mappings there are of `memfd_secret`, none of which can be read.
    pub(crate) sealed: usize,
    /// What the child has loaded, by its own word.
    pub(crate) loaded: Option<Protection>,
}

/// A child that does one thing after the other and waits between them.
pub(crate) struct Watched {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Watched {
    /// Starts this program as a child, without address randomisation, that gets this protection at
    /// most.
    pub(crate) fn start(kernel: Kernel, protection: Protection, directory: &Path) -> Self {
        let this = std::env::current_exe().expect("a running program has a path");
        let mut child = Command::new("setarch")
            .arg("--addr-no-randomize")
            .args([this.as_os_str(), kernel.name().as_ref(), protection.name().as_ref()])
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setarch (util-linux) starts this program again");
        let stdin = child.stdin.take().expect("it is piped");
        let mut stdout = child.stdout.take().expect("it is piped");
        stdout.read_exact(&mut [0]).expect("the child says that it is there");
        Self { child, stdin, stdout }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has the child do one thing, and reads its memory once it waits again.
    pub(crate) fn after(&mut self, stage: Stage, key: &[u8; 16]) -> Memory {
        self.tell(stage, key);
        let mut letter = [0];
        self.stdout.read_exact(&mut letter).expect("the child says that it is going to wait");
        let all = [Protection::Wiped, Protection::Locked, Protection::MemfdSecret];
        let loaded = all.into_iter().find(|one| one.name().as_bytes()[0] == letter[0]);
        Memory { loaded, ..self.memory() }
    }

    /// Has the child end by a signal, and waits for that.
    pub(crate) fn abort(&mut self) {
        self.tell(Stage::Abort, &[0; 16]);
        let status = self.child.wait().expect("it is a child of this process");
        assert!(!status.success(), "an abort is no success");
    }

    /// All that can be read of the child while it waits; a parent may read its child.
    pub(crate) fn memory(&self) -> Memory {
        let process = format!("/proc/{}", self.child.id());
        let state = || fs::read_to_string(format!("{process}/stat")).expect("the child is alive");
        while !state().contains(") S ") {
            thread::sleep(Duration::from_millis(1));
        }
        let smaps = fs::read_to_string(format!("{process}/smaps")).expect("the child is alive");
        let bytes = File::open(format!("{process}/mem")).expect("a parent may read its child");
        let mut memory = Memory::default();
        for mapping in mappings(&smaps) {
            memory.take(&process, &bytes, &mapping);
        }
        memory
    }

    /// A key goes in two parts that are random each, so that no buffer on the way holds it.
    fn tell(&mut self, stage: Stage, key: &[u8; 16]) {
        let mut message = vec![stage.code()];
        if stage.takes_key() {
            let pad = random::<16>();
            message.extend(key.iter().zip(&pad).map(|(key, pad)| key ^ pad));
            message.extend(pad);
        }
        self.stdin.write_all(&message).expect("the child reads");
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It waits for input that does not come; that it is gone already is no matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A key that no memory has by chance, of odd parity.
pub(crate) fn random_key() -> [u8; 16] {
    random().map(|byte: u8| byte ^ u8::from(byte.count_ones().is_multiple_of(2)))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut random = File::open("/dev/urandom").expect("Linux has it");
    random.read_exact(&mut bytes).expect("it never ends");
    bytes
}

/// What `smaps` tells of one mapping.
struct Mapping<'a> {
    range: &'a str,
    rights: &'a str,
    name: &'a str,
    flags: &'a str,
}

/// A mapping starts with `start-end rights offset device inode name` and ends with its flags.
fn mappings(smaps: &str) -> impl Iterator<Item = Mapping<'_>> {
    let mut head = "";
    smaps.lines().filter_map(move |line| {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            let mut fields = head.split_whitespace();
            let (range, rights) = (fields.next()?, fields.next()?);
            let name = fields.nth(3).unwrap_or("anonymous memory");
            return Some(Mapping { range, rights, name, flags });
        }
        if line.split_whitespace().next().is_some_and(|word| !word.ends_with(':')) {
            head = line;
        }
        None
    })
}

impl Memory {
    fn take(&mut self, process: &str, memory: &File, mapping: &Mapping) {
        let Mapping { range, rights, name, flags } = mapping;
        let is = |flag: &str| flags.split_whitespace().any(|it| it == flag);
        let ends = range.split('-').map(|end| usize::from_str_radix(end, 16));
        let [start, end] = *ends.map(|end| end.expect("a number")).collect::<Vec<_>>() else {
            panic!("a range has two ends: {range}");
        };
        let name = (*name).to_owned();
        let mut bytes = vec![0; end - start];
        if name == "/secretmem" {
            self.sealed += 1;
            // Nor can it be opened as the file that it is. (Elsewhere that takes a privilege.)
            let by_file = File::open(format!("{process}/map_files/{range}"));
            let readable = (start..end)
                .step_by(PAGE)
                .any(|page| memory.read_exact_at(&mut bytes[..PAGE], page as u64).is_ok());
            assert!(by_file.is_err() && !readable, "memfd_secret at {start:#x} can be read");
        } else if !rights.starts_with('r') {
            // Nobody can have written to it.
        } else if let Err(error) = memory.read_exact_at(&mut bytes, start as u64) {
            // The kernel's own pages, which are the same in every process.
            if !name.starts_with("[v") {
                println!("    {name} at {start:#x} cannot be read from outside: {error}");
            }
        } else if is("lo") && is("dd") {
            self.locked.push(Region { name, start, bytes });
        } else {
            self.open.push(Region { name, start, bytes });
        }
    }
}

const PAGE: usize = 4096;
