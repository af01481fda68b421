//! A child process and its memory, read from outside.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::child::Task;

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

/// A child that loads a key, drops it, and plants another; it waits after each of the three.
pub(crate) struct Watched {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Watched {
    /// Starts this program as a child, without address randomisation.
    pub(crate) fn start(task: Task, kernel: &str) -> Self {
        let this = std::env::current_exe().expect("a running program has a path");
        let mut child = Command::new("setarch")
            .arg("--addr-no-randomize")
            .args([this.as_os_str(), task.name().as_ref(), kernel.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setarch (util-linux) starts this program again");
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        Self { child, stdin, stdout }
    }

    /// Its memory before it has a key.
    pub(crate) fn started(&mut self) -> Vec<Region> {
        self.memory()
    }

    /// Its memory once the key is loaded and has computed.
    pub(crate) fn loaded(&mut self, key: &[u8; 16]) -> Vec<Region> {
        self.send(key);
        self.memory()
    }

    /// Its memory after the key was dropped.
    pub(crate) fn dropped(&mut self) -> Vec<Region> {
        self.stdin.write_all(b"\n").expect("the child waits");
        self.memory()
    }

    /// Its memory with another key in it in every form.
    pub(crate) fn planted(&mut self, key: &[u8; 16]) -> Vec<Region> {
        self.send(key);
        self.memory()
    }

    /// Sends a key in two parts that are random each, so that no buffer on the way holds it.
    fn send(&mut self, key: &[u8; 16]) {
        let pad = random_key();
        let masked: Vec<_> = key.iter().zip(&pad).map(|(key, pad)| key ^ pad).collect();
        self.stdin.write_all(&[masked.as_slice(), &pad].concat()).expect("the child reads");
    }

    /// All that can be read of the child once it waits; a parent may read its child.
    fn memory(&mut self) -> Vec<Region> {
        self.stdout.read_exact(&mut [0]).expect("the child says that it is going to wait");
        let process = format!("/proc/{}", self.child.id());
        let state = || fs::read_to_string(format!("{process}/stat")).expect("the child is alive");
        while !state().contains(") S ") {
            thread::sleep(Duration::from_millis(1));
        }
        let maps = fs::read_to_string(format!("{process}/maps")).expect("the child is alive");
        let memory = File::open(format!("{process}/mem")).expect("a parent may read its child");
        maps.lines().filter_map(|line| read_region(&memory, line)).collect()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It waits for input that does not come; that it is gone already is no matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A key that no memory has by chance.
pub(crate) fn random_key() -> [u8; 16] {
    let mut key = [0; 16];
    let mut random = File::open("/dev/urandom").expect("Linux has it");
    random.read_exact(&mut key).expect("it never ends");
    key
}

/// One line is `start-end permissions offset device inode name`.
fn read_region(memory: &File, line: &str) -> Option<Region> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    if !fields.next()?.starts_with('r') {
        return None;
    }
    let name = fields.nth(3).unwrap_or("anonymous memory").to_owned();
    let mut bytes = vec![0; end - start];
    // The kernel's own pages and secret memory refuse; that is what they are for.
    let read = memory.read_exact_at(&mut bytes, start as u64);
    if read.is_err() && !name.starts_with("[v") {
        println!("    {name} at {start:#x} cannot be read from outside");
    }
    read.ok().map(|()| Region { name, start, bytes })
}
