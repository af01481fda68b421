//! A disk without room: every record is refused until there is room again.

use std::process::Command;

use crate::home::{Files, Home};
use crate::task::{command, said};

#[test]
#[cfg_attr(not(has_unshare), ignore = "needs unshare, and leave to use it")]
fn a_full_disk_refuses_and_recovers() {
    let home = Home::new();
    std::fs::create_dir(home.directory()).unwrap();
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount"]);
    let output = command(Some(unshare), home.path(), "fill disk").output().unwrap();
    let says = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said(&says, "ended"),
        ["in order"],
        "{says}{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let files = Files::read(&home.path().join("copy"));
    let anchor = std::fs::read(home.anchor()).unwrap();
    let report = files.verify(Some(&anchor)).unwrap();
    let written = said(&says, "written");
    assert_eq!(report.records, written.len() as u64, "what was refused is not in it");
    let texts = files.texts();
    for text in written {
        assert!(texts.contains(text), "{text} was acknowledged and is missing");
    }
    assert_eq!(report.abandoned_bytes, 0, "it could be cut off");
    let last = files.0.len() - 1;
    assert_eq!(files.member(last, 0, "cause"), "failure");
    // The one that found the disk full, and those that were tried.
    assert_eq!((files.member(last, 0, "refused"), report.refused), ("21".to_owned(), 21));
}
